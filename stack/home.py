"""The folder of one stack: what lies where, and the ports and secrets it keeps from one start to the next."""

from __future__ import annotations

import json
import os
import random
import secrets
import socket
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from stack.errors import StackError

LOOPBACK = "127.0.0.1"

PORT_NAMES = (
    "postgres",
    "kafka",
    "kafka-controller",
    "connect",
    "registry",
    "elasticsearch",
    "elasticsearch-transport",
    "redis",
    "duckdb",
)
_FIRST_PORT, _LAST_PORT = 15_000, 29_999
"""Below every system's range for outgoing connections: no client is ever given a server's port while it is down."""


@dataclass(frozen=True)
class Secrets:
    """What a stack makes up once and keeps; never shown."""

    superuser_password: str
    owner_password: str
    replication_password: str
    registry_password: str
    duckdb_token: str
    kafka_cluster_id: str

    def __repr__(self) -> str:
        return "Secrets(…)"


@dataclass(frozen=True)
class Home:
    """The folder `root` of one stack."""

    root: Path

    @property
    def data(self) -> Path:
        """What the servers store, one folder each."""
        return self.root / "data"

    @property
    def endpoints(self) -> Path:
        """Where clients find the servers, as JSON."""
        return self.root / "endpoints.json"

    @property
    def lock(self) -> Path:
        """The file that whoever starts or stops servers holds locked."""
        return self.root / "lock"

    @property
    def duckdb_copy(self) -> Path:
        """The copy of the DuckDB store that anybody may open."""
        return self.root / "duckdb" / "published.duckdb"

    def log(self, server: str) -> Path:
        """Return the log of one server."""
        return self.root / "log" / f"{server}.log"

    def record(self, server: str) -> Path:
        """Return the file in which a server's process writes who it is."""
        return self.root / "run" / f"{server}.json"

    def prepare(self) -> None:
        """Make the folders that are missing."""
        for folder in (self.root / "log", self.root / "run"):
            folder.mkdir(parents=True, exist_ok=True)

    def ports(self) -> dict[str, int]:
        """Return the port of everything that listens; chosen among the free ones at the first call, then kept."""
        file = self.root / "ports.json"
        if not file.exists():
            chosen = dict(zip(PORT_NAMES, _free_ports(len(PORT_NAMES)), strict=True))
            write_privately(file, json.dumps(chosen, indent=2))
        return dict(json.loads(file.read_text()))

    def secrets(self) -> Secrets:
        """Return the secrets of this stack, made at the first call."""
        file = self.root / "secrets.json"
        if not file.exists():
            made = {name: secrets.token_urlsafe(24) for name in Secrets.__dataclass_fields__}
            made["kafka_cluster_id"] = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "_")
            write_privately(file, json.dumps(made))
        return Secrets(**json.loads(file.read_text()))


def write_privately(file: Path, text: str) -> None:
    """Replace a file in one step with one that only its owner reads."""
    fresh = file.with_suffix(".new")
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as opened:
        opened.write(text)
    fresh.replace(file)


def is_free(port: int) -> bool:
    """Say whether a server could listen on a loopback port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def _free_ports(count: int) -> Iterable[int]:
    candidates = random.sample(range(_FIRST_PORT, _LAST_PORT + 1), 1_000)
    free = [port for port in candidates if is_free(port)]
    if len(free) < count:
        raise StackError(f"Fewer than {count} loopback ports are free between {_FIRST_PORT} and {_LAST_PORT}.")
    return free[:count]
