"""Interpreter of the production Redis scripts: an embedded Lua 5.1.

Source: https://redis.io/docs/latest/develop/programmability/lua-api/
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from lupa.lua51 import LuaRuntime

Reply = Any
"""A reply as a Python value: bytes, an int, None, a list of replies, `Status`, or `Failure`."""


class Status(bytes):
    """A simple string reply."""


class Failure(Exception):
    """An error reply, with its code first."""


Execute = Callable[[list[bytes]], Reply]


class Lua:
    """A Lua interpreter that compiles the source of every script once."""

    def __init__(self) -> None:
        self._runtime = LuaRuntime(encoding=None)
        self._compile = self._runtime.eval(b"function(text) return assert(loadstring(text)) end")
        self._compiled: dict[bytes, Any] = {}
        self._execute: Execute = lambda _: None
        names = {b"call": self._on_call, b"pcall": self._on_pcall}
        self._runtime.globals()[b"redis"] = self._runtime.table_from(names)

    def run(self, text: bytes, keys: Sequence[bytes], arguments: Sequence[bytes], execute: Execute) -> Reply:
        """Run a script to its end, or to its first error; earlier writes remain.

        Args:
            execute: executes a command of the script.
        """
        if text not in self._compiled:
            self._compiled[text] = self._compile(text)
        self._execute = execute
        names = self._runtime.globals()
        names[b"KEYS"], names[b"ARGV"] = self._runtime.table_from(keys), self._runtime.table_from(arguments)
        return _reply(self._compiled[text]())

    def _on_call(self, *command: bytes | int) -> Any:
        return self._to_lua(self._execute(_texts(command)))

    def _on_pcall(self, *command: bytes | int) -> Any:
        try:
            return self._on_call(*command)
        except Failure as failure:
            return self._runtime.table_from({b"err": str(failure).encode()})

    def _to_lua(self, reply: Reply) -> Any:
        if reply is None:
            return False
        if isinstance(reply, Status):
            return self._runtime.table_from({b"ok": bytes(reply)})
        if isinstance(reply, list):
            return self._runtime.table_from([self._to_lua(one) for one in reply])
        return reply


def _texts(command: Sequence[bytes | int]) -> list[bytes]:
    return [one if isinstance(one, bytes) else str(one).encode() for one in command]


def _reply(value: Any) -> Reply:
    """Convert a script's return value to a reply."""
    if value is None or value is False:
        return None
    if value is True:
        return 1
    if isinstance(value, (bytes, int)):
        return value
    if isinstance(value, float):
        return int(value)
    if value[b"err"] is not None:
        raise Failure(value[b"err"].decode())
    if value[b"ok"] is not None:
        return Status(value[b"ok"])
    return list(map(_reply, _until_nil(value)))


def _until_nil(table: Any) -> Iterator[Any]:
    place = 1
    while (value := table[place]) is not None:
        yield value
        place += 1
