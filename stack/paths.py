"""Paths in the folder of one stack, and the ports and secrets that it keeps between starts."""

from __future__ import annotations

import json
import secrets
import socket
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from stack.errors import StackError

LOOPBACK = "127.0.0.1"

PORT_NAMES = (
    "postgres",
    "kafka",
    "kafka-controller",
    "kafka-relayed",
    "connect",
    "registry",
    "registry-management",
    "elasticsearch",
    "elasticsearch-transport",
    "redis",
    "duckdb",
)
_FIRST_PORT, _LAST_PORT = 15_000, 29_999
"""Range below every system's range for outgoing connections, so that no client gets the port of a stopped server."""


@dataclass(frozen=True)
class Secrets:
    """Secrets that a stack generates once and keeps; never shown."""

    superuser_password: str
    owner_password: str
    replication_password: str
    registry_password: str
    redis_password: str
    duckdb_token: str

    def __repr__(self) -> str:
        return "Secrets(…)"


@dataclass(frozen=True)
class StackPaths:
    """Paths in the folder `root` of one stack."""

    root: Path

    @property
    def data(self) -> Path:
        """The folder of the servers' data, one folder each; the path that the servers use."""
        return (self.root / "data").resolve()

    @property
    def classes(self) -> Path:
        """The folder of the class archives, with which the Java servers start faster. The archives may be deleted."""
        return (self.root / "classes").resolve()

    @property
    def endpoints(self) -> Path:
        """The file with the endpoints of the servers, as JSON."""
        return self.root / "endpoints.json"

    @property
    def ports_file(self) -> Path:
        """The file with the ports, as JSON. If it is deleted, new ports are chosen."""
        return self.root / "ports.json"

    @property
    def lock(self) -> Path:
        """The lock file for starting and stopping servers."""
        return self.root / "lock"

    @property
    def duckdb_copy(self) -> Path:
        """The published copy of the DuckDB store."""
        return self.root / "duckdb" / "published.duckdb"

    def log(self, server: str) -> Path:
        """Return the log file of one server."""
        return self.root / "log" / f"{server}.log"

    def record(self, server: str) -> Path:
        """Return the file in which a server's process records its identity."""
        return self.root / "run" / f"{server}.json"

    def prepare(self) -> None:
        """Create the missing folders. Only their owner may enter them."""
        for folder in (self.root, self.root / "log", self.root / "run"):
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o700)
        for log in (self.root / "log").iterdir():
            log.chmod(0o600)

    def ports(self) -> dict[str, int]:
        """Return the ports of all listeners, chosen once from the free ones and then kept."""
        kept = _read(self.ports_file)
        missing = [name for name in PORT_NAMES if name not in kept]
        if missing:
            kept |= zip(missing, free_ports(len(missing), taken=kept.values()), strict=True)
            write_private_file(self.ports_file, json.dumps(kept, indent=2))
        return kept

    def secrets(self) -> Secrets:
        """Return the secrets of this stack, generated once and then kept."""
        file = self.root / "secrets.json"
        kept = _read(file)
        missing = [field.name for field in fields(Secrets) if field.name not in kept]
        if missing:
            kept |= {name: secrets.token_urlsafe(24) for name in missing}
            write_private_file(file, json.dumps(kept))
        return Secrets(**kept)


def write_private_file(file: Path, text: str) -> None:
    """Replace a file in one step with one that only its owner can read."""
    # A temporary file is private from its creation.
    with tempfile.NamedTemporaryFile("w", dir=file.parent, prefix=f".{file.name}-", delete=False) as fresh:
        fresh.write(text)
    Path(fresh.name).replace(file)


def is_free(port: int) -> bool:
    """Return whether a server could listen on a loopback port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def free_ports(count: int, *, taken: Iterable[int] = ()) -> list[int]:
    """Return free loopback ports, none of them in `taken`.

    Raises:
        StackError: there are fewer.
    """
    candidates = set(range(_FIRST_PORT, _LAST_PORT + 1)).difference(taken)
    free = [port for port in secrets.SystemRandom().sample(sorted(candidates), 500) if is_free(port)]
    if len(free) < count:
        raise StackError(
            f"Fewer than {count} loopback ports are free between {_FIRST_PORT} and {_LAST_PORT}.",
            remedy="End programs that listen on ports of that range, then run `readmodels up` again.",
        )
    return free[:count]


def _read(file: Path) -> dict[str, Any]:
    return dict(json.loads(file.read_text())) if file.exists() else {}
