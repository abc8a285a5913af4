"""Fuzz runner that sends queries to the server, and checks that readers cannot exceed their rights."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from sinks.duckdb.quack import messages
from sinks.duckdb.quack.messages import MessageKind, parse_header, query_text
from tests.fuzz_readers.grammar import Grammar, Query
from tests.support.checkout import CHECKOUT
from tests.unit.sinks.duckdb.quack import TOKEN, free_address

CANARY = "SECRET-7d1f0c"
BATCH = 100
ANSWERED_WITHIN_S = 60.0
MAX_RSS_BYTES = 4 * 2**30
PREPARED = 4
_CONNECT = b"\x01\x00\x01\x03\x00\x05\xff\xff\x01\x00%b\x02\x00\x06v1.5.5\x03\x00\x0blinux_amd64"
_CONNECT_END = b"\x04\x00\x01\x05\x00\x01\xff\xff"


class ReaderGotFurther(AssertionError):
    """The server did something forbidden to readers; the message has the queries."""


@dataclass
class Found:
    """Results of a run."""

    outcomes: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    max_rss_bytes: int = 0
    slowest_s: float = 0.0


class _Server:
    """The fuzzed process."""

    def __init__(self, directory: Path) -> None:
        self.address = free_address()
        self._port = int(self.address.rpartition(":")[2])
        line = [sys.executable, "-m", "tests.fuzz_readers.server", str(directory), self.address]
        environment = {**os.environ, "FUZZ_CANARY": CANARY, "PYTHONPATH": str(CHECKOUT)}
        with (directory.parent / "server.log").open("a") as log:
            self.process = subprocess.Popen(
                line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, env=environment,
                cwd=directory.parent,
            )  # fmt: skip

    def state(self) -> dict[str, Any]:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        found: dict[str, Any] = json.loads(self.process.stdout.readline())
        return found

    def rss_bytes(self) -> int:
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def send(self, message: bytes) -> bytes:
        head = f"POST /quack HTTP/1.1\r\nHost: x\r\nContent-Length: {len(message)}\r\n\r\n"
        with socket.create_connection(("127.0.0.1", self._port), timeout=ANSWERED_WITHIN_S) as connection:
            connection.sendall(head.encode() + message)
            return b"".join(iter(lambda: connection.recv(65_536), b"")).partition(b"\r\n\r\n")[2]

    def begin(self) -> str:
        """Begin a session."""
        token = bytes([len(TOKEN)]) + TOKEN.encode()
        return parse_header(self.send(_CONNECT % token + _CONNECT_END)).session

    def ask(self, session: str, query: str) -> bytes:
        """Send a query, and return the message that answers it."""
        beginning = b"\x01\x00\x03\x02\x00\x20%b\x03\x00\x05\xff\xff\x01\x00" % session.encode()
        message = beginning + b"\x00\xff\xff"
        return self.send(messages.with_query_text(message, parse_header(message), query.encode()))


@contextmanager
def _served(directory: Path) -> Iterator[_Server]:
    server = _Server(directory)
    try:
        yield server
    finally:
        server.process.terminate()
        server.process.wait()


def fuzz(folder: Path, seed: int, until: Callable[[int], bool]) -> Found:
    """Send queries until `until`, given their number, returns true.

    Raises:
        ReaderGotFurther: a forbidden query was answered, a secret was seen, or the server or its files changed.
    """
    directory = folder / "duckdb"
    directory.mkdir(parents=True)
    secrets = [folder / "secret.csv", folder / "secret.json", directory / "beside.csv"]
    for secret in secrets:
        secret.write_text(f'a,b\n"{CANARY}",2\n')
    paths = [*map(str, secrets), str(directory / "000001.duckdb"), "secret.csv", "/proc/self/environ"]
    queries, found, sent = iter(Grammar(seed, paths)), Found(), 0
    with _served(directory) as server:
        before = _everything(server, folder)
        session = server.begin()
        while not until(sent):
            batch = list(islice(queries, BATCH))
            for query in batch:
                _ask(server, session, query, found)
            sent += len(batch)
            found.max_rss_bytes = max(found.max_rss_bytes, server.rss_bytes())
            if found.max_rss_bytes > MAX_RSS_BYTES:
                raise ReaderGotFurther(f"the server takes {found.max_rss_bytes:,} bytes")
            if (after := _everything(server, folder)) != before:
                changed = [name for name in before if before[name] != after.get(name)]
                raise ReaderGotFurther(f"{changed} changed in one of {[query.text for query in batch]}")
    return found


def _ask(server: _Server, session: str, query: Query, found: Found) -> None:
    began = time.monotonic()
    try:
        answer = server.ask(session, query.text)
        header = parse_header(answer)
    except (OSError, ValueError) as error:
        raise ReaderGotFurther(f"no answer to {query.text!r}: {type(error).__name__}") from error
    found.slowest_s = max(found.slowest_s, time.monotonic() - began)
    if CANARY.encode() in answer:
        raise ReaderGotFurther(f"{query.text!r} tells a secret")
    if header.kind == PREPARED:
        found.outcomes["answered"] += 1
        if query.is_forbidden:
            raise ReaderGotFurther(f"{query.text!r} is answered")
        return
    assert header.kind == MessageKind.ERROR
    words = query_text(answer, header).decode()
    found.outcomes["refused" if words.startswith("query refused") else "failed"] += 1
    found.errors[words.partition("\n")[0][:60]] += 1
    if "database has been invalidated" in words:
        raise ReaderGotFurther(f"{query.text!r} ends in {words}")


def _everything(server: _Server, folder: Path) -> dict[str, Any]:
    if server.process.poll() is not None:
        raise ReaderGotFurther("the server has ended")
    beside = {
        str(path): path.read_text() for path in sorted(folder.glob("*")) if path.is_file() and path.suffix != ".log"
    }
    return {**server.state(), "beside": beside}
