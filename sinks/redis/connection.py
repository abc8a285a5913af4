"""Redis connection: one connection per operation, scripts by digest, and translation of errors."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from typing import Any

from redis import ConnectionPool
from redis.backoff import NoBackoff
from redis.connection import AbstractConnection
from redis.exceptions import AuthenticationError, ConnectionError, NoScriptError, ResponseError, TimeoutError
from redis.retry import Retry

from sinks.errors import MutationRejected, StoreBlocked, StoreUnavailable
from sinks.redis.resp import EncodedArgs, encode_args

_ANSWER_WITHIN_S = 30.0
_NOT_NOW = {
    *("BUSY", "CLUSTERDOWN", "DENIED", "LOADING", "MASTERDOWN", "MISCONF", "NOAUTH", "NOPERM", "NOREPLICAS"),
    *("OOM", "READONLY", "TRYAGAIN", "WRONGPASS"),
}
"""Error codes that concern the server or the user's rights, and not the command."""
_USER = (
    "Correct the user and the password in READMODELS_REDIS__URL, and let the user do everything that the sink does: "
    "`redis-cli ACL SETUSER readmodels on ~* &* +@all`, with the name of the user."
)
_REMEDIES = {
    "OOM": "Raise maxmemory, and in redis.conf too: `redis-cli CONFIG SET maxmemory 0` is no limit.",
    "MISCONF": (
        "Free space on the disk of the Redis server, then run `redis-cli BGSAVE`: the server refuses writes until it "
        "has saved."
    ),
    "READONLY": (
        "This server is a replica. Set READMODELS_REDIS__URL to the address of the primary, or make this server the "
        "primary: `redis-cli REPLICAOF NO ONE`."
    ),
    "NOAUTH": _USER,
    "NOPERM": _USER,
    "WRONGPASS": _USER,
}
"""Remedies by error code. For any other code, the server recovers by itself."""
_CODE = re.compile(r"(?:^|: -)([A-Z]{2,})\b")
"""Code at the beginning of an error. Up to Redis 6.2, the code of an error inside a script follows `: -`."""


@dataclass(frozen=True)
class Script:
    """Lua script, concatenated from constant files of `sinks/redis/lua`. The last file is the main part."""

    names: tuple[str, ...]

    @cached_property
    def text(self) -> bytes:
        """The script's source."""
        folder = files("sinks.redis") / "lua"
        return b"\n".join((folder / f"{name}.lua").read_bytes() for name in self.names)

    @cached_property
    def digest(self) -> str:
        """The digest by which the server identifies the script after it is loaded."""
        return hashlib.sha1(self.text, usedforsecurity=False).hexdigest()


def connection_pool(url: str) -> ConnectionPool:
    """Return a pool of connections that report every failure and never retry by themselves.

    Args:
        url: such as `redis://user:password@host:port/0`, `rediss://…` for TLS, or `unix:///path`.
    """
    return ConnectionPool.from_url(
        url,
        protocol=2,
        retry=Retry(NoBackoff(), 0),
        socket_timeout=_ANSWER_WITHIN_S,
        socket_connect_timeout=_ANSWER_WITHIN_S,
    )


class Session:
    """One connection that never reconnects.

    A server that was killed may restart without its last second of writes. If the connection has survived a whole
    batch, so has the server. So progress cannot advance over writes that were lost in between.
    """

    def __init__(self, connection: AbstractConnection) -> None:
        self._connection = connection

    def call(self, script: Script, keys: Sequence[EncodedArgs], arguments: Sequence[EncodedArgs]) -> Any:
        """Run a script. Load it first if the server does not have it.

        Raises:
            StoreUnavailable: the server does not answer, or cannot serve now.
            MutationRejected: the server rejected the script.
        """
        names = sum(key.count for key in keys)
        count = 3 + names + sum(argument.count for argument in arguments)
        pieces = [encode_args("EVALSHA", script.digest, names), *keys, *arguments]
        command = [b"*%d\r\n" % count, *(piece.data for piece in pieces)]
        with translate_errors():
            try:
                return self._ask(command)
            except NoScriptError:
                self._ask([b"*3\r\n", encode_args("SCRIPT", "LOAD", script.text).data])
                return self._ask(command)

    def _ask(self, command: list[bytes | memoryview]) -> Any:
        if not self._connection.is_connected:
            raise ConnectionError("the connection was lost")
        self._connection.send_packed_command(command, check_health=False)  # type: ignore[no-untyped-call]
        return self._connection.read_response()


@contextmanager
def session(connections: ConnectionPool) -> Iterator[Session]:
    """Yield a connection for one operation, and return it to the pool afterwards."""
    with translate_errors():
        connection = connections.get_connection()
    try:
        yield Session(connection)
    finally:
        connections.release(connection)


@contextmanager
def translate_errors() -> Iterator[None]:
    """Translate the client's errors to sink errors, without the server's message if it could quote a value."""
    try:
        yield
    except AuthenticationError as error:
        # The client counts this as a connection error. The message contains no password.
        raise StoreBlocked(f"Redis refuses the login: {error}", _USER) from error
    except (ConnectionError, TimeoutError) as error:
        raise StoreUnavailable(f"Redis does not answer: {error}") from error
    except ResponseError as error:
        codes = {error.status_code, *_CODE.findall(str(error))} - {None}
        told = ", ".join(sorted(codes)) or type(error).__name__
        if code := next(iter(codes & _REMEDIES.keys()), None):
            raise StoreBlocked(f"Redis refuses writes: {told}", _REMEDIES[code]) from error
        if codes & _NOT_NOW:
            raise StoreUnavailable(f"Redis cannot serve now: {told}") from error
        raise MutationRejected(f"Redis refused a command: {told}", "redis") from error
