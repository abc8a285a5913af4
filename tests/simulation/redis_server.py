"""Simulated Redis for the sink's scripts: commands over dictionaries, most of them called by scripts.

Its append-only file is synced once a second. A killed server restarts with the contents of the file, and without the
scripts that it had loaded. Out of memory, the server refuses a script's first write, and does not refuse later writes
of a script that has written, as in Redis.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from functools import partial
from typing import Any
from zlib import crc32

from tests.simulation.redis_lua import Failure, Lua, Reply, Status

DATABASES = 16
SYNC_EVERY_S = 1.0
_PAGE = 3
"""Keys per page of SCAN: few, so that many writes fall between two pages."""
_NEEDS_MEMORY = frozenset({"SET", "HSET"})

Value = bytes | dict[bytes, bytes]
Database = dict[bytes, Value]


class Server:
    """One server.

    Args:
        now_s: returns the time.
    """

    def __init__(self, now_s: Callable[[], float]) -> None:
        self.policy = "noeviction"
        self.refuses: str | None = None
        self.is_out_of_memory = False
        self._now_s = now_s
        self._databases: list[Database] = [{} for _ in range(DATABASES)]
        self._synced = self.copied()
        self._synced_at_s = self._written_at_s = 0.0
        self._scripts: dict[bytes, Any] = {}
        self._lua = Lua()

    def copied(self) -> list[Database]:
        """Return a copy of all data."""
        return copy.deepcopy(self._databases)

    @property
    def live(self) -> Database:
        """The database that readers see."""
        return self._databases[0]

    def sync(self) -> None:
        """Make the current data durable."""
        self._synced, self._synced_at_s = self.copied(), self._now_s()

    def kill(self) -> bool:
        """Discard unsynced data, and return whether there was any."""
        is_lost = self._written_at_s > self._synced_at_s and self._now_s() - self._written_at_s < SYNC_EVERY_S
        self.restart(self._synced if is_lost else self._databases)
        return is_lost

    def restart(self, databases: list[Database]) -> None:
        """Restart with the given databases."""
        self._databases = copy.deepcopy(databases)
        self._synced = copy.deepcopy(databases)
        self._synced_at_s = self._now_s()
        self._scripts.clear()

    def evict(self, key: bytes) -> None:
        """Evict a key, as a cache does."""
        self.live.pop(key, None)

    def answer(self, command: Sequence[bytes]) -> Reply:
        """Execute a command immediately."""
        name = command[0].upper()
        try:
            if name == b"EVALSHA":
                return self._evaluate(command)
            if name == b"SCRIPT":
                return self._load(command[2])
            if name == b"INFO":
                return f"redis_version:7.2.0\r\nmaxmemory_policy:{self.policy}\r\naof_enabled:1\r\n".encode()
            return Status(b"OK")
        except Failure as failure:
            return failure

    def _load(self, text: bytes) -> bytes:
        digest = hashlib.sha1(text).hexdigest().encode()
        self._scripts[digest] = text
        return digest

    def _evaluate(self, command: Sequence[bytes]) -> Reply:
        if self.refuses is not None:
            raise Failure(f"{self.refuses} the server cannot serve now")
        text = self._scripts.get(command[1])
        if text is None:
            raise Failure("NOSCRIPT No matching script. Please use EVAL.")
        if self._now_s() - self._synced_at_s >= SYNC_EVERY_S:
            self.sync()
        keys = int(command[2])
        return self._lua.run(text, command[3 : 3 + keys], command[3 + keys :], partial(self._execute, _Call()))

    def _execute(self, call: _Call, command: Sequence[bytes]) -> Reply:
        """Execute a command of a script."""
        name = command[0].decode()
        if name in _NEEDS_MEMORY and self.is_out_of_memory and not call.has_written:
            raise Failure("OOM command not allowed when used memory > 'maxmemory'.")
        reply = _COMMANDS[name](self, call, *command[1:])
        if name in _WRITES:
            call.has_written = True
            self._written_at_s = self._now_s()
        return reply

    def _select(self, call: _Call, number: bytes) -> Reply:
        if int(number) >= DATABASES:
            raise Failure("ERR DB index is out of range")
        call.database = int(number)
        return Status(b"OK")

    def _swap(self, _: _Call, one: bytes, other: bytes) -> Reply:
        here, there = int(one), int(other)
        self._databases[here], self._databases[there] = self._databases[there], self._databases[here]
        return Status(b"OK")

    def _in(self, call: _Call) -> Database:
        return self._databases[call.database]

    def _hash(self, call: _Call, key: bytes) -> dict[bytes, bytes]:
        value = self._in(call).get(key, {})
        if not isinstance(value, dict):
            raise Failure("WRONGTYPE Operation against a key holding the wrong kind of value")
        return value

    def _get(self, call: _Call, key: bytes) -> Reply:
        return self._in(call).get(key)

    def _set(self, call: _Call, key: bytes, value: bytes) -> Reply:
        self._in(call)[key] = value
        return Status(b"OK")

    def _delete(self, call: _Call, *keys: bytes) -> Reply:
        return sum(self._in(call).pop(key, None) is not None for key in keys)

    def _hset(self, call: _Call, key: bytes, *pairs: bytes) -> Reply:
        held = self._hash(call, key)
        held.update(zip(pairs[::2], pairs[1::2], strict=True))
        self._in(call)[key] = held
        return len(pairs) // 2

    def _scan(self, call: _Call, cursor: bytes, *options: bytes) -> Reply:
        wanted = dict(zip(options[::2], options[1::2], strict=True))
        # Sort by a digest of the key, so that a cursor stays valid whatever is written in between.
        ahead = sorted((1 + crc32(key), key) for key in self._in(call) if crc32(key) >= int(cursor))
        page = [key for _, key in ahead[:_PAGE]]
        next_ = ahead[_PAGE - 1][0] if len(ahead) > _PAGE else 0
        found = [
            key
            for key in page
            if fnmatchcase(key.decode(), wanted[b"MATCH"].decode())
            and (b"TYPE" not in wanted or isinstance(self._in(call)[key], dict))
        ]
        return [str(next_).encode(), found]


class _Call:
    """One run of a script: its database, and whether it has changed anything."""

    def __init__(self) -> None:
        self.database = 0
        self.has_written = False


_COMMANDS: dict[str, Callable[..., Reply]] = {
    "SELECT": Server._select,
    "SWAPDB": Server._swap,
    "DBSIZE": lambda server, call: len(server._in(call)),
    "GET": Server._get,
    "SET": Server._set,
    "DEL": Server._delete,
    "UNLINK": Server._delete,
    "HGET": lambda server, call, key, field: server._hash(call, key).get(field),
    "HGETALL": lambda server, call, key: [text for pair in server._hash(call, key).items() for text in pair],
    "HSET": Server._hset,
    "SCAN": Server._scan,
}
_WRITES = frozenset({"SET", "DEL", "UNLINK", "HSET", "SWAPDB"})
