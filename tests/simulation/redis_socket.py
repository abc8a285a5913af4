"""Connection between the client library and the simulated Redis: the protocol, and faults of a connection."""

from __future__ import annotations

import socket
from typing import Protocol

from tests.simulation.redis_lua import Failure, Reply, Status


class Line(Protocol):
    """The transport to the server."""

    @property
    def life(self) -> int:
        """The number of the server's current run; a connection ends with its run."""

    def carry(self, command: list[bytes]) -> Reply:
        """Send a command to the server and return its reply.

        Raises:
            OSError: the connection broke, or the reply timed out; the command may have been executed.
        """


class Socket:
    """A connection to one run of a server."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._life = line.life
        self._sent = bytearray()
        self._received = bytearray()
        # For clients that poll the descriptor: it becomes readable once the other end is closed.
        self._here, self._there = socket.socketpair()

    def fileno(self) -> int:
        self._end_with_the_server()
        return self._here.fileno()

    def settimeout(self, timeout: float | None) -> None:
        """Set the timeout, in virtual time."""

    def sendall(self, data: bytes | memoryview) -> None:
        self._end_with_the_server()
        self._sent += data

    def recv(self, count: int, _: int = 0) -> bytes:
        return b"" if self._life != self._line.life else bytes(self._received[:count])

    def recv_into(self, buffer: bytearray) -> int:
        if not self._received:
            for command in _commands(self._take()):
                if self._life != self._line.life:
                    return 0
                reply = self._line.carry(command)
                if self._life != self._line.life:
                    return 0
                self._received += _encoded(reply)
        count = min(len(buffer), len(self._received))
        buffer[:count] = self._received[:count]
        del self._received[:count]
        return count

    def shutdown(self, _: int) -> None:
        self.close()

    def close(self) -> None:
        self._here.close()
        self._there.close()

    def _take(self) -> bytes:
        sent, self._sent = bytes(self._sent), bytearray()
        return sent

    def _end_with_the_server(self) -> None:
        if self._life != self._line.life:
            self._there.close()


def _commands(sent: bytes) -> list[list[bytes]]:
    """Return the commands in the sent bytes: arrays of bulk strings."""
    commands, at = [], 0
    while at < len(sent):
        count, at = _number(sent, at)
        command = []
        for _ in range(count):
            length, at = _number(sent, at)
            command.append(sent[at : at + length])
            at += length + 2
        commands.append(command)
    return commands


def _number(sent: bytes, at: int) -> tuple[int, int]:
    end = sent.index(b"\r\n", at)
    return int(sent[at + 1 : end]), end + 2


def _encoded(reply: Reply) -> bytes:
    match reply:
        case None:
            return b"$-1\r\n"
        case Failure():
            return b"-%b\r\n" % str(reply).encode()
        case Status():
            return b"+%b\r\n" % bytes(reply)
        case bytes():
            return b"$%d\r\n%b\r\n" % (len(reply), reply)
        case int():
            return b":%d\r\n" % reply
    return b"*%d\r\n" % len(reply) + b"".join(map(_encoded, reply))
