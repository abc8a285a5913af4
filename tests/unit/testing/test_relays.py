"""Tests of relays and their disturbances of connections."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from stack.paths import LOOPBACK, free_ports
from tests.support.relays import CLEAR, Disturbance, Relays
from tests.support.waiting import wait_for

ANSWERS_WITHIN_S = 10.0
SILENT_FOR_S = 0.3


class Echo:
    """A server that answers each line with the same line, and records the lines."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []
        self._listener = socket.create_server((LOOPBACK, 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, client.makefile("rwb") as lines:
            try:
                for line in lines:
                    self.asked.append(line)
                    lines.write(line)
                    lines.flush()
            except OSError:
                return


@pytest.fixture
def echo() -> Iterator[Echo]:
    with closing(Echo()) as server:
        yield server


@pytest.fixture
def port() -> int:
    return free_ports(1)[0]


@pytest.fixture
def relays(echo: Echo, port: int) -> Iterator[Relays]:
    with Relays({"echo": port}, {"echo": echo.port}) as relays:
        yield relays


def connect(port: int) -> socket.socket:
    return socket.create_connection((LOOPBACK, port), ANSWERS_WITHIN_S)


def ask(client: socket.socket, line: bytes) -> bytes:
    """Return the answer up to the end of the line or of the connection."""
    client.sendall(line)
    answer = b""
    while not answer.endswith(b"\n"):
        try:
            came = client.recv(100)
        except ConnectionError:
            return answer
        if not came:
            return answer
        answer += came
    return answer


def test_an_undisturbed_relay_forwards_all_data(relays: Relays, port: int) -> None:
    with connect(port) as client:
        assert ask(client, b"one\n") == b"one\n"
        relays.disturb("echo", Disturbance(delay_s=0.05))
        assert ask(client, b"two\n") == b"two\n"


def test_a_response_is_lost_after_the_request_was_executed(relays: Relays, echo: Echo, port: int) -> None:
    relays.disturb("echo", Disturbance(is_deaf=True))
    with connect(port) as client:
        assert ask(client, b"write\n") == b""
    assert echo.asked == [b"write\n"]


def test_a_connection_is_cut_after_so_many_bytes(relays: Relays, echo: Echo, port: int) -> None:
    with connect(port) as client:
        assert ask(client, b"whole\n") == b"whole\n"
        relays.disturb("echo", Disturbance(cut_after_bytes=8))
        assert ask(client, b"first\n") == b"first\n"
        assert ask(client, b"second\n") == b""
    assert echo.asked[:2] == [b"whole\n", b"first\n"]
    assert b"second\n" not in echo.asked


def test_stuck_data_flows_once_the_relay_is_cleared(relays: Relays, echo: Echo, port: int) -> None:
    with connect(port) as client:
        assert ask(client, b"before\n") == b"before\n"
        relays.disturb("echo", Disturbance(is_stuck=True))
        client.sendall(b"during\n")
        client.settimeout(SILENT_FOR_S)
        with pytest.raises(TimeoutError):
            client.recv(100)
        assert echo.asked == [b"before\n"]
        client.settimeout(ANSWERS_WITHIN_S)
        relays.disturb("echo", CLEAR)
        assert client.recv(100) == b"during\n"


def test_a_closed_relay_cuts_refuses_and_opens_again(relays: Relays, port: int) -> None:
    with connect(port) as client:
        assert ask(client, b"before\n") == b"before\n"
        relays.disturb("echo", Disturbance(is_closed=True))
        assert ask(client, b"during\n") == b""
        with pytest.raises(ConnectionRefusedError):
            connect(port)
    relays.disturb("echo", CLEAR)
    with connect(port) as client:
        assert ask(client, b"after\n") == b"after\n"


def test_a_server_that_is_down_ends_the_connection(relays: Relays, echo: Echo, port: int) -> None:
    echo.close()

    def is_ended() -> bool:
        with connect(port) as client:
            return ask(client, b"anybody?\n") == b""

    wait_for(is_ended, ANSWERS_WITHIN_S, lambda: "a server that is down still answers")
