"""Tests of the proxy of DuckDB's server, with requests that any program can send."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

import duckdb
import pytest
from structlog.testing import capture_logs

from sinks.duckdb.quack import messages
from sinks.duckdb.quack.messages import MalformedMessage, MessageKind, parse_header, query_text
from sinks.duckdb.quack.proxy import MAX_UNPROVEN, QuackProxy
from sinks.duckdb.reader_limits import ReaderLimits
from sinks.duckdb.serving import ReadersRefused, ServingSettings, files_of, load_extensions, serve
from sinks.duckdb.store import DuckdbStore
from sinks.shape import RowShape
from tests.unit.sinks.duckdb.quack import TOKEN, Reader, free_address

SHAPES = [RowShape("orders", ("id",), {"id": "bigint"})]
PREPARED = 4
CONNECT = b"\x01\x00\x01\x03\x00\x05\xff\xff\x01\x00%b\x02\x00\x06v1.5.5\x03\x00\x0blinux_amd64\x04\x00\x01\x05\x00\x01\xff\xff"  # noqa: E501


def connect_message(token: str) -> bytes:
    return CONNECT % (bytes([len(token)]) + token.encode())


def head(length: int, *lines: str) -> bytes:
    return "\r\n".join(["POST /quack HTTP/1.1", "Host: x", f"Content-Length: {length}", *lines, "", ""]).encode()


class ServedStore:
    """A store that is served, with its proxy."""

    def __init__(self, store: DuckdbStore, address: str, front: QuackProxy) -> None:
        self.store, self.address, self.front = store, address, front
        self.port = int(address.rpartition(":")[2])

    def dial(self) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port))
        connection.settimeout(30)
        return connection

    def answer(self, request: bytes) -> bytes:
        """Send bytes, and return the complete answer."""
        with self.dial() as connection:
            connection.sendall(request)
            return b"".join(iter(lambda: connection.recv(65_536), b""))

    def body_of(self, message: bytes) -> bytes:
        return self.answer(head(len(message)) + message).partition(b"\r\n\r\n")[2]

    def begin(self) -> str:
        """Begin a session with the right token."""
        return parse_header(self.body_of(connect_message(TOKEN))).session

    def says(self, message: bytes) -> str:
        """Send a message, and return the text of the error in the answer."""
        body = self.body_of(message)
        found = parse_header(body)
        assert found.kind == MessageKind.ERROR
        return query_text(body, found).decode()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[ServedStore]:
    with closing(DuckdbStore(tmp_path, SHAPES)) as store:
        store.sink(1).prepare()
        store.sink(1).cutover()
        address = free_address()
        bounds = ReaderLimits(max_query_bytes=1_000, max_result_bytes=500_000)
        with closing(serve(store.instance(), ServingSettings(address, TOKEN, files_of(tmp_path), bounds))) as front:
            yield ServedStore(store, address, front)


@pytest.fixture
def reader(served: ServedStore) -> Iterator[Reader]:
    with duckdb.connect() as connection:
        load_extensions(connection)
        yield Reader(connection, served.address)


def test_half_sent_requests_hold_up_no_reader(served: ServedStore, reader: Reader) -> None:
    with ExitStack() as held:
        for sent in (b"", b"POST /quack HT", head(100_000), head(100) + b"\x01", head(100) + b"\x01\x00\x01\x03\x00"):
            for _ in range(100):
                held.enter_context(served.dial()).sendall(sent)
        assert reader.ask("SELECT 42") == [(42,)]


def test_of_connections_that_have_shown_nothing_the_oldest_gives_way(served: ServedStore) -> None:
    with served.dial() as oldest, ExitStack() as held:
        for _ in range(MAX_UNPROVEN + 1):
            held.enter_context(served.dial())
        assert oldest.recv(1) == b""


def test_a_body_is_not_taken_in_before_the_token_or_the_session_is_shown(served: ServedStore) -> None:
    for beginning in (b"", b"\x01\x00\x01", b"\x01\x00\x03\x02\x00\x20" + b"A" * 32 + b"\xff\xff"):
        with served.dial() as connection:
            connection.sendall(head(1_000_000_000) + beginning)
            assert b"at most 1000 bytes (duckdb.max_query_bytes)" in connection.recv(65_536)


@pytest.mark.parametrize(
    "request_",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /other HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
        b"POST /quack HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n",
        head(3) + b"abc",
        head(8) + b"\x01\x00\x01\x03\x00\x05\xff\xff",
        head(9) + b"\x01\x00\x09\x03\x00\x05\xff\xff\xff",
    ],
)
def test_a_request_that_is_none_of_quack_is_answered_with_an_error(served: ServedStore, request_: bytes) -> None:
    assert b"\x01\x00d\x03\x00" in served.answer(request_)


@pytest.mark.parametrize(
    "noise", [b"no http\r\n\r\n", b"\x00" * 100, b"A" * 100_000, head(-1), head(10) + b"Content-Length: 9"]
)
def test_noise_ends_its_own_connection_only(served: ServedStore, reader: Reader, noise: bytes) -> None:
    with served.dial() as connection:
        connection.sendall(noise)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65_536):
            pass
    assert reader.ask("SELECT 42") == [(42,)]


def test_a_wrong_token_is_counted_slowed_and_logged_without_the_token(served: ServedStore, reader: Reader) -> None:
    wrong = [TOKEN[:-1], TOKEN + "x", "", "completely different"]
    with capture_logs() as logs, ThreadPoolExecutor(len(wrong)) as attempts:
        answers = list(attempts.map(lambda token: served.says(connect_message(token)), wrong))
        assert reader.ask("SELECT 42") == [(42,)]
    assert answers == ["Authentication failed: show the token of `duckdb.token`"] * len(wrong)
    assert served.front.wrong_tokens == len(wrong)
    told = [log for log in logs if log["event"] == "authentication failed"]
    assert told
    assert {log["peer"] for log in told} == {"127.0.0.1"}
    assert not [token for token in (TOKEN, *filter(None, wrong)) if token in str(logs)]


def test_a_session_that_the_worker_does_not_know_is_refused(served: ServedStore) -> None:
    message = b"\x01\x00\x03\x02\x00\x20" + b"A" * 32 + b"\x03\x00\x05\xff\xff\x01\x00\x08SELECT 1\xff\xff"
    assert served.says(message).startswith("Invalid connection id")


def test_the_token_of_readers_does_not_open_the_server_behind_the_front(served: ServedStore) -> None:
    [(private,)] = served.store.instance().execute("SELECT listen_uri FROM quack_server_list()").fetchall()
    with duckdb.connect() as client:
        load_extensions(client)
        with pytest.raises(duckdb.Error, match="Authentication failed"):
            client.execute("FROM quack_query(?, 'SELECT 1', token := ?)", [private, TOKEN])


def test_a_refused_query_gets_the_reason(reader: Reader) -> None:
    for query, reason in (
        ("SELECT getvariable('a')", "the function getvariable reads settings"),
        ("FROM glob('*')", "the table function glob reads files"),
        ("DELETE FROM orders", "a query is one SELECT statement"),
        ("SELEC 1", 'syntax error at or near "SELEC"'),
        (f"SELECT '{'x' * 2_000}'", "a query has at most 1000 bytes"),
    ):
        with pytest.raises(duckdb.Error) as refused:
            reader.ask(query)
        assert f"query refused: {reason}" in str(refused.value)


def test_a_result_beyond_its_bound_ends_with_the_bound_in_its_error(reader: Reader) -> None:
    assert len(reader.ask("FROM range(20_000)")) == 20_000
    with pytest.raises(duckdb.Error, match=r"a result has at most 500000 bytes \(duckdb.max_result_bytes\)"):
        reader.ask("FROM range(1_000_000)")
    assert reader.ask("SELECT 42") == [(42,)]


def test_a_catalog_is_attached_through_the_front(reader: Reader) -> None:
    assert reader.elsewhere("SELECT count(*) FROM live.orders", "FROM live.orders") == [["(0,)"], []]


def test_many_readers_are_answered_at_a_time(served: ServedStore) -> None:
    def ask(number: int) -> int:
        query = f"SELECT {number}, count(*) FROM memory.main.orders".encode()
        session = served.begin().encode()
        message = b"\x01\x00\x03\x02\x00\x20%b\x03\x00\x05\xff\xff\x01\x00%b%b\xff\xff" % (
            session,
            bytes([len(query)]),
            query,
        )
        return parse_header(served.body_of(message)).kind

    with ThreadPoolExecutor(16) as readers:
        assert set(readers.map(ask, range(48))) == {PREPARED}


@pytest.mark.parametrize("address", ["quack:0.0.0.0:1", "quack:192.0.2.1:1", "quack:127.example.org:1", "quack:[::]:1"])
def test_an_address_that_other_machines_reach_is_refused_without_tls(tmp_path: Path, address: str) -> None:
    with (
        closing(DuckdbStore(tmp_path, SHAPES)) as store,
        pytest.raises(ReadersRefused, match="can be reached from other machines") as refused,
    ):
        serve(store.instance(), ServingSettings(address, TOKEN, files_of(tmp_path)))
    assert "duckdb.serve_insecure = true" in refused.value.remedy


def test_an_address_that_other_machines_reach_is_served_only_if_the_setting_allows_it(tmp_path: Path) -> None:
    port = free_address().rpartition(":")[2]
    with closing(DuckdbStore(tmp_path, SHAPES)) as store:
        served = ServingSettings(f"quack:0.0.0.0:{port}", TOKEN, files_of(tmp_path), is_insecure=True)
        with closing(serve(store.instance(), served)), socket.create_connection(("127.0.0.1", int(port))):
            pass


def test_a_front_that_is_closed_leaves_no_thread_and_frees_its_address(tmp_path: Path) -> None:
    address = free_address()
    with closing(DuckdbStore(tmp_path, SHAPES)) as store:
        front = serve(store.instance(), ServingSettings(address, TOKEN, files_of(tmp_path)))
        with socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2]))):
            front.close()
        socket.create_server(("127.0.0.1", int(address.rpartition(":")[2]))).close()
    assert "front" not in {thread.name for thread in threading.enumerate()}


def test_a_message_reads_back_as_it_was_written() -> None:
    message = connect_message(TOKEN)
    header = parse_header(message)
    assert (header.kind, header.session, query_text(message, header)) == (MessageKind.CONNECT, "", TOKEN.encode())
    other = messages.with_query_text(message, header, b"x" * 300)
    assert query_text(other, parse_header(other)) == b"x" * 300
    assert messages.with_query_text(other, parse_header(other), TOKEN.encode()) == message


def test_a_message_that_is_cut_off_anywhere_is_malformed() -> None:
    message = connect_message(TOKEN)
    for end in range(message.index(TOKEN.encode()) + len(TOKEN)):
        with pytest.raises(MalformedMessage):
            query_text(message[:end], parse_header(message[:end]))
