"""Tests that failures of Elasticsearch become errors of the sink, which never quote a document."""

from __future__ import annotations

import threading
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from sinks.elasticsearch.client import ErrorCause, EsClient, Response, connect, to_sink_error
from sinks.elasticsearch.errors import IndexClosed
from sinks.errors import GenerationMissing, MutationRejected, SinkError, StoreBlocked, StoreUnavailable
from tests.support.http_stub import answering


@pytest.mark.parametrize(
    ("status", "type_", "error"),
    [
        (400, "document_parsing_exception", MutationRejected),
        (400, "strict_dynamic_mapping_exception", MutationRejected),
        (413, "content_too_long_exception", MutationRejected),
        (404, "index_not_found_exception", GenerationMissing),
        (400, "index_closed_exception", IndexClosed),
        (429, "es_rejected_execution_exception", StoreBlocked),
        (503, "unavailable_shards_exception", StoreUnavailable),
        (500, "null_pointer_exception", StoreUnavailable),
        (403, "cluster_block_exception", StoreBlocked),
        (401, "security_exception", StoreBlocked),
    ],
)
def test_a_refusal_is_classified_as_temporary_or_not(status: int, type_: str, error: type[SinkError]) -> None:
    assert type(to_sink_error(status, ErrorCause(type_), "orders, document '1'")) is error


@pytest.mark.parametrize(
    ("words", "field"),
    [
        ("[1:7] failed to parse field [id] of type [long] in document with id 'x'. Preview: 'secret'", "id"),
        ("[1:14] mapping set to strict, dynamic introduction of [zz] within [secret] is not allowed", "zz"),
    ],
)
def test_a_refusal_names_the_field_and_never_the_value(words: str, field: str) -> None:
    said = str(to_sink_error(400, ErrorCause("document_parsing_exception", words), "orders, document '1'"))
    assert f"field {field!r}" in said
    assert "'1'" in said
    assert "secret" not in said


def test_an_answer_of_any_form_has_a_reason() -> None:
    assert Response(404, b'{"error":"alias [orders] missing","status":404}').cause.type == "refused"
    assert Response(502, b"<html>Bad Gateway</html>").cause.type == "answer of an unknown form"
    reason = Response(400, b'{"error":{"type":"x_exception","reason":null,"root_cause":[]},"status":400}').cause
    assert reason.type == "x_exception"


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nX-elastic-product: Elastic",
        b"HTTP/1.1 200 OK\r\nX-elastic-product: Elasticsearch\r\ncontent-type: application/json\r\n",
        b"HTTP/1.1 200 OK\r\nX-elastic-product: Elasticsearch\r\ncontent-type: application/json\r\n"
        b'content-length: 20\r\n\r\n{"items":',
        b"HTTP/1.1 200 OK\r\nX-elastic-product: Elasticsearch\r\ncontent-type: application/json\r\n\r\n[]",
    ],
    ids=["within a header", "between headers", "within the body", "of another form"],
)
def test_an_answer_that_is_cut_anywhere_is_waited_out(answer: bytes) -> None:
    with answering(answer) as url, closing(connect(url, request_timeout_s=5)) as client:
        cluster = EsClient(client)
        with pytest.raises(StoreUnavailable):
            cluster.request("GET", "/_bulk", dict[str, int])


def test_every_request_goes_below_the_base_path_of_the_address() -> None:
    asked: list[str] = []

    class Proxy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.send_header("X-elastic-product", "Elasticsearch")
            self.send_header("content-type", "application/json")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            """Suppress the request log."""

    with HTTPServer(("127.0.0.1", 0), Proxy) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        for base in ("/search", "/search/", ""):
            with closing(connect(f"http://127.0.0.1:{server.server_port}{base}", request_timeout_s=5.0)) as client:
                EsClient(client).request_raw("GET", "/orders-*/_mapping")
        server.shutdown()
    assert asked == ["/search/orders-*/_mapping", "/search/orders-*/_mapping", "/orders-*/_mapping"]
