"""Tests of schemas from a registry: a small HTTP server returns the possible answers of a registry."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from connectors.avro.schema import UnresolvedSchema, inline_types, strip_logical_types
from connectors.decode.decoder import Decoder
from connectors.errors import RegistryUnavailable, UnknownSchema
from connectors.schema_registry import SchemaRegistry
from tests.unit.connectors.decode.change_records import (
    COLUMNS,
    ORDERS,
    TOPIC,
    batch,
    change,
    envelope_schema,
    framed,
    inserted,
    reasons,
    rows,
)

MONEY = {"type": "record", "name": "shop.Money", "fields": [{"name": "cents", "type": "long"}]}


class Registry(ThreadingHTTPServer):
    """Answers by path: a status and a document."""

    def __init__(self, answers: dict[str, tuple[int, Any]]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers = answers
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Registry

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        self.server.asked.append(path)
        status, document = self.server.answers.get(path, (404, {"error_code": 40403, "message": "Schema not found"}))
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/vnd.schemaregistry.v1+json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Suppress the request log."""


@contextmanager
def registry(answers: dict[str, tuple[int, Any]]) -> Iterator[Registry]:
    server = Registry(answers)
    thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def registered(schema: Any, **more: Any) -> tuple[int, Any]:
    return 200, {"schema": json.dumps(schema), **more}


def test_a_schema_is_asked_for_once_and_decodes_its_records() -> None:
    with registry({"/schemas/ids/7": registered(envelope_schema())}) as server:
        decoder = Decoder({TOPIC: ORDERS}, SchemaRegistry.at(server.url))
        for _ in range(2):
            (row,) = rows(decoder.decode(batch([framed(inserted())])))
        assert row["after"]["id"] == 42
        assert server.asked == ["/schemas/ids/7"]


def test_known_schemas_are_decoded_without_the_registry_and_new_ones_are_refused() -> None:
    with registry({"/schemas/ids/7": registered(envelope_schema())}) as server:
        decoder = Decoder({TOPIC: ORDERS}, SchemaRegistry.at(server.url))
        decoder.decode(batch([framed(inserted())]))
    assert len(rows(decoder.decode(batch([framed(inserted())])))) == 1
    with pytest.raises(RegistryUnavailable, match="schema 8") as caught:
        decoder.decode(batch([framed(inserted()), framed(inserted(), schema_id=8)]))
    assert "Start the schema registry" in caught.value.remedy


def test_a_schema_that_comes_later_is_found_then() -> None:
    with registry({}) as server:
        schemas = SchemaRegistry.at(server.url)
        with pytest.raises(UnknownSchema, match="schema 7"):
            schemas.schema(7)
        server.answers["/schemas/ids/7"] = registered(envelope_schema())
        assert schemas.schema(7)["name"] == "cdc.public.orders.Envelope"


@pytest.mark.parametrize("status", [401, 429, 500, 503])
def test_a_response_that_is_no_schema_means_an_unavailable_registry(status: int) -> None:
    answers = {"/schemas/ids/7": (status, {"error_code": status, "message": "no"})}
    with registry(answers) as server, pytest.raises(RegistryUnavailable, match=f"{status} about schema 7"):
        SchemaRegistry.at(server.url).schema(7)


@pytest.mark.parametrize("document", [b"<html>", {"schema": "{"}, {"schema": '{"type": "record"}'}, {}])
def test_a_malformed_response_means_an_unavailable_registry(document: Any) -> None:
    answers = {"/schemas/ids/7": (200, document)}
    with registry(answers) as server, pytest.raises(RegistryUnavailable):
        SchemaRegistry.at(server.url).schema(7)


def test_a_registry_that_does_not_answer_in_time_is_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        schemas = SchemaRegistry.at(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout_s=0.05)
        with pytest.raises(RegistryUnavailable):
            schemas.schema(7)


def test_references_to_other_schemas_are_followed() -> None:
    columns = {**COLUMNS, "extra": ["null", "shop.Money"], "more": "shop.Money"}
    reference = {"name": "shop.Money", "subject": "money", "version": 3}
    answers = {
        "/schemas/ids/7": registered(envelope_schema(columns), references=[reference]),
        "/subjects/money/versions/3": (200, {"subject": "money", "version": 3, "id": 5, "schema": json.dumps(MONEY)}),
    }
    with registry(answers) as server:
        decoder = Decoder({TOPIC: ORDERS}, SchemaRegistry.at(server.url))
        whole = envelope_schema({**COLUMNS, "extra": ["null", MONEY], "more": "shop.Money"})
        row = {**inserted()["after"], "extra": {"cents": 1}, "more": {"cents": 2}}
        (read,) = rows(decoder.decode(batch([framed(change("c", after=row), whole)])))
    assert read["after"]["id"] == 42


def test_a_schema_that_is_not_avro_or_contains_itself_is_a_fault_of_its_records() -> None:
    node = {"type": "record", "name": "Node", "fields": [{"name": "next", "type": ["null", "Node"]}]}
    answers = {
        "/schemas/ids/7": registered(envelope_schema()),
        "/schemas/ids/8": (200, {"schema": 'syntax = "proto3";', "schemaType": "PROTOBUF"}),
        "/schemas/ids/9": registered(node),
    }
    with registry(answers) as server:
        decoder = Decoder({TOPIC: ORDERS}, SchemaRegistry.at(server.url))
        decoded = decoder.decode(batch([framed(inserted(), schema_id=schema_id) for schema_id in (8, 7, 9)]))
    assert list(reasons(decoded)) == [0, 2]


def test_a_type_that_is_defined_nowhere_or_contains_itself_is_not_resolved() -> None:
    item = {"name": "next", "type": ["null", "Node"]}
    for schema in ({"type": "array", "items": "Node"}, {"type": "record", "name": "Node", "fields": [item]}):
        with pytest.raises(UnresolvedSchema):
            inline_types(schema)


def test_a_resolved_schema_defines_each_type_once_when_it_is_made_plain() -> None:
    schema = inline_types(
        {
            "type": "record",
            "name": "Pair",
            "fields": [{"name": n, "type": t} for n, t in [("a", MONEY), ("b", "shop.Money")]],
        }
    )
    assert schema["fields"][0]["type"] == schema["fields"][1]["type"]
    assert strip_logical_types(schema)["fields"][1]["type"] == "shop.Money"
