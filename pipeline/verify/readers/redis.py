"""Reader of Redis: a GET by key, in logical database 0.

A generation that is not live is read in its own database. A cutover moves the generation to another database, so each
command also reads the database's marker in the same transaction.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
from redis import Redis

from pipeline.config import Settings
from pipeline.epochs.offset_sink import open_sink
from pipeline.verify.comparison_set import ComparisonSet, documents
from pipeline.verify.readers.reader import page
from sinks.batch import TopicPartition
from sinks.errors import GenerationMissing, SinkError
from sinks.redis.connection import translate_errors
from sinks.redis.generation import MARKER
from sinks.redis.store import RedisStore
from sinks.sink import Sink

PAGE_KEYS = 2_000
LIVE_DATABASE = 0


class GenerationMoved(SinkError):
    """The generation changed its database during the read, because of a cutover, a rollback or a drop."""

    remedy = "Run `readmodels verify redis` again, which reads the live generation."


@dataclass(frozen=True)
class RedisReader:
    """Reader of the documents in one logical database.

    Args:
        client: of that database.
        generation: None for the live one.
        marker: of the generation, if one was given.
    """

    subjects: tuple[ComparisonSet, ...]
    client: Redis
    store: RedisStore
    generation: int | None
    marker: bytes | None

    def sink(self) -> Sink:
        generation = self.store.live() if self.generation is None else self.generation
        if generation is None:
            raise GenerationMissing("no generation of redis is live")
        return open_sink(self.store, generation)

    def progress(self) -> Mapping[TopicPartition, int]:
        return self.sink().progress().offsets

    def scan(self, subject: ComparisonSet) -> Iterator[pa.Table]:
        cursor, prefix = 0, self.store.key_prefix(subject.name)
        while True:
            cursor, names = self._asked("SCAN", cursor, "MATCH", f"{prefix}*", "COUNT", PAGE_KEYS)
            if names:
                yield _page(names, self._asked("MGET", *names), len(prefix.encode()))
            if cursor == 0:
                return

    def lookup(self, subject: ComparisonSet, keys: Sequence[str]) -> dict[str, str]:
        return self._got(subject, keys)

    def rejected(self, subject: ComparisonSet, keys: Sequence[str]) -> Mapping[str, str]:  # noqa: ARG002
        return {}

    def _got(self, subject: ComparisonSet, keys: Sequence[str]) -> dict[str, str]:
        if not keys:
            return {}
        values = self._asked("MGET", *(f"{self.store.key_prefix(subject.name)}{key}" for key in keys))
        return {key: _text(value) for key, value in zip(keys, values, strict=True) if value is not None}

    def _asked(self, *command: str | bytes | int) -> Any:
        with translate_errors():
            if self.generation is None:
                return self.client.execute_command(*command)  # type: ignore[no-untyped-call]
            with self.client.pipeline(transaction=True) as together:
                together.get(MARKER)
                together.execute_command(*command)  # type: ignore[no-untyped-call]
                marker, answer = together.execute()
        if marker != self.marker:
            raise GenerationMoved(f"generation {self.generation} of redis has moved while it was read")
        return answer


@contextmanager
def open_redis_reader(settings: Settings, generation: int | None = None) -> Iterator[RedisReader]:
    """Open the cache for reading: database 0, or the database of `generation` if it is given.

    Raises:
        GenerationMissing: the generation does not exist.
    """
    with (
        closing(RedisStore(settings.redis.url, settings.definitions.document_shapes())) as store,
        Redis.from_url(settings.redis.url) as client,
    ):
        database = LIVE_DATABASE if generation is None else store.database(generation)
        client.connection_pool.connection_kwargs["db"] = database
        shown = RedisReader(documents(settings.definitions), client, store, generation, None)
        yield shown if generation is None else replace(shown, marker=_marker(client, generation))


def _page(names: list[bytes], values: list[bytes | None], prefix: int) -> pa.Table:
    # SCAN may return a key that was deleted since, or whose value is not a string.
    found = [(name[prefix:], value) for name, value in zip(names, values, strict=True) if value is not None]
    keys, texts = [name for name, _ in found], [value for _, value in found]
    try:
        return pa.table({"key": _utf8(keys), "text": _utf8(texts)})
    except pa.ArrowInvalid:
        return page(list(map(_text, keys)), list(map(_text, texts)))


def _utf8(texts: list[bytes]) -> pa.Array:
    return pa.array(texts, pa.binary()).cast(pa.string())


def _marker(client: Redis, generation: int) -> bytes:
    with translate_errors():
        found = client.get(MARKER)
    marker = found if isinstance(found, bytes) else b""
    if marker.partition(b" ")[0] != str(generation).encode():
        raise GenerationMoved(f"generation {generation} of redis was cut over while it was read")
    return marker


def _text(value: bytes | str) -> str:
    return value.decode(errors="backslashreplace") if isinstance(value, bytes) else value
