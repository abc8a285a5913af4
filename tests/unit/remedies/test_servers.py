"""Tests of the remedies of unavailable or faulty servers, with small servers of the tests' own."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import pytest

from connectors.errors import RegistryUnavailable, UnknownSchema
from connectors.kafka_connect import ConnectClient, ConnectError, ConnectUnavailable
from connectors.schema_registry import SchemaRegistry
from pipeline.config import Settings, load
from stack.paths import free_ports
from tests.remedies.commands import settings
from tests.remedies.shell import SHIPPED
from tests.unit.connectors.decode.change_records import envelope_schema

SCHEMA = {"schema": json.dumps(envelope_schema())}
Answer = Callable[[BaseHTTPRequestHandler], tuple[int, Any]]


@contextmanager
def serving(answer: Answer, port: int = 0) -> Iterator[str]:
    """Serve JSON over HTTP; yield the address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, document = answer(self)
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Suppress the request log."""

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def corrected(remedy: str, value: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Return the settings after the first setting in the remedy is set to this value."""
    section, name = settings(remedy)[0]
    monkeypatch.setenv(f"READMODELS_{section}__{name}".upper(), value)
    return load(SHIPPED, {})


@pytest.mark.parametrize("way", ["start", "correct"])
@pytest.mark.usefixtures("described")
def test_kafka_connect_answers_once_it_is_started_or_its_address_corrected(
    way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    [port] = free_ports(1)
    with pytest.raises(ConnectUnavailable) as silent:
        ConnectClient(f"http://127.0.0.1:{port}").version()
    with serving(lambda _: (200, {"version": "4.3.1"}), port if way == "start" else 0) as url:
        address = f"http://127.0.0.1:{port}" if way == "start" else url
        assert ConnectClient(corrected(silent.value.remedy, address, monkeypatch).connect.url).version() == "4.3.1"


@pytest.mark.usefixtures("described")
def test_kafka_connect_obeys_once_its_address_has_the_user_and_the_password(monkeypatch: pytest.MonkeyPatch) -> None:
    allowed = f"Basic {b64encode(b'operator:secret').decode()}"

    def guarded(request: BaseHTTPRequestHandler) -> tuple[int, Any]:
        is_allowed = request.headers["Authorization"] == allowed
        return (200, {"version": "4.3.1"}) if is_allowed else (401, {"message": "who are you?"})

    with serving(guarded) as url:
        with pytest.raises(ConnectError, match="401 who are you") as refused:
            ConnectClient(url).version()
        [example] = re.findall(r"such as (http://\S+)\.", refused.value.remedy)
        named = example.replace("user:password", "operator:secret").replace(
            f"{urlsplit(example).hostname}:{urlsplit(example).port}", urlsplit(url).netloc
        )
        assert ConnectClient(corrected(refused.value.remedy, named, monkeypatch).connect.url).version() == "4.3.1"


@pytest.mark.usefixtures("described")
def test_schemas_are_read_once_the_registry_is_started_or_its_address_corrected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    [port] = free_ports(1)
    silent = SchemaRegistry.at(f"http://127.0.0.1:{port}")
    with pytest.raises(RegistryUnavailable) as failed:
        silent.schema(7)
    with serving(lambda _: (200, SCHEMA), port) as url:
        assert silent.schema(7)
        settings = corrected(failed.value.remedy, url, monkeypatch)
        assert SchemaRegistry.at(settings.schema_registry.url).schema(7)


def test_a_schema_is_read_once_the_registry_knows_it_again() -> None:
    kept: dict[str, Any] = {}

    def registry(request: BaseHTTPRequestHandler) -> tuple[int, Any]:
        found = kept.get(request.path.partition("?")[0])
        return (200, found) if found else (404, {"error_code": 40403, "message": "Schema not found"})

    with serving(registry) as url:
        asking = SchemaRegistry.at(url)
        with pytest.raises(UnknownSchema) as unknown:
            asking.schema(7)
        assert unknown.value.remedy.startswith("If the registry lost the schema, restore its storage")
        kept["/schemas/ids/7"] = SCHEMA
        assert asking.schema(7)
