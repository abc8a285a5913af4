"""Cache model over a simulated Redis, with faults of connections, the server and its memory."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from unittest.mock import patch

from redis.connection import Connection

from sinks.batch import TopicPartition
from sinks.ordering.register import Change, Register
from sinks.ordering.version_text import decode_version
from sinks.redis.generation import PROGRESS
from sinks.redis.store import RedisStore
from sinks.sink import Store
from tests.simulation.documents import SHAPE, SHAPES, Documents, visible_in
from tests.simulation.invariant_checker import Held, name_of
from tests.simulation.redis_lua import Reply
from tests.simulation.redis_server import Database, Server
from tests.simulation.redis_socket import Socket
from tests.simulation.store_model import Hazard, Surroundings

TIMEOUT_S = 30.0
_REFUSALS = ("LOADING", "MISCONF", "READONLY", "BUSY")


class RedisSide(Documents):
    """One server."""

    def __init__(self, around: Surroundings) -> None:
        self.server = Server(lambda: around.scheduler.now_s)
        self.life = 1
        self._around = around
        self._copy: list[Database] | None = None
        self._down_until_s = 0.0

    @contextmanager
    def installed(self) -> Iterator[None]:
        with patch.object(Connection, "_connect", lambda _: self._accept()):
            yield

    @contextmanager
    def opened(self) -> Iterator[Store]:
        with closing(RedisStore("redis://server:6379/0", SHAPES)) as store:
            yield store

    def held(self) -> Held:
        registers, visible = {}, {}
        progress: dict[TopicPartition, int] = {}
        for name, value in self.server.live.items():
            key = name.decode()
            if isinstance(value, dict) and key.endswith("}:r"):
                order = key.removeprefix(f"{{{SHAPE.name}:").removesuffix("}:r")
                registers.update({name_of(order, part.decode()): _register(text) for part, text in value.items()})
            elif isinstance(value, bytes) and key.startswith(f"{SHAPE.name}:"):
                visible.update(visible_in(json.loads(value)))
            elif isinstance(value, dict) and key == PROGRESS:
                progress = {_shard(topic_partition.decode()): int(offset) for topic_partition, offset in value.items()}
        return Held(registers, visible, progress)

    def begun(self) -> None:
        self.server.sync()

    def hazards(self) -> Mapping[str, Hazard]:
        return {
            "server is killed": self._kill,
            "scripts are flushed, connections cut": self._cut,
            "out of memory": self._fill_the_memory,
            "server refuses": self._refuse,
            "server serves again": self.heal,
            "copy is taken": self._take_a_copy,
            "copy is restored": self._restore,
        }

    def killed(self) -> None:
        """Do nothing: the server does not depend on the worker process."""

    def heal(self) -> None:
        self.server.is_out_of_memory = False
        self.server.refuses = None

    def carry(self, command: list[bytes]) -> Reply:
        scheduler, weather, life = self._around.scheduler, self._around.weather, self.life
        scheduler.pause(0.01)
        if weather.strikes("server is killed under a command", 0.01):
            self._kill()
        if weather.strikes("connection reset", 0.02):
            raise ConnectionResetError(104, "reset")
        if self.life != life:
            raise ConnectionResetError(104, "reset")
        reply = self.server.answer(command)
        self._around.look()
        scheduler.pause(0.01)
        if weather.strikes("answer lost", 0.03):
            scheduler.pause(TIMEOUT_S)
            raise TimeoutError("no answer")
        return reply

    def _accept(self) -> Socket:
        if self._around.scheduler.now_s < self._down_until_s or self._around.weather.strikes(
            "connection refused", 0.02
        ):
            raise ConnectionRefusedError(111, "refused")
        return Socket(self)

    def _kill(self) -> None:
        if self.server.kill():
            self._around.weather.struck["last writes are lost"] += 1
            self._around.went_back()
        self._end_life()

    def _cut(self) -> None:
        self.server.restart(self.server.copied())
        self._end_life()

    def _fill_the_memory(self) -> None:
        self.server.is_out_of_memory = True

    def _refuse(self) -> None:
        self.server.refuses = self._around.weather.lots.choice(_REFUSALS)

    def _take_a_copy(self) -> None:
        self._copy = self.server.copied()

    def _restore(self) -> None:
        if self._copy is not None:
            self.server.restart(self._copy)
            self._end_life()
            self._around.went_back()

    def _end_life(self) -> None:
        self.life += 1
        self._down_until_s = self._around.scheduler.now_s + self._around.weather.lots.choice((0.0, 0.05, 3.0))


def _register(text: bytes) -> Register:
    changes = {chr(one[0]): _change(one[1:].decode()) for one in text.split(b"\0")}
    return Register(changes.get("s"), changes.get("r"))


def _change(text: str) -> Change:
    return decode_version(text, None)


def _shard(field: str) -> TopicPartition:
    topic, _, partition = field.rpartition("/")
    return topic, int(partition)
