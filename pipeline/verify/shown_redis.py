"""What readers of Redis see: a GET by key, in logical database 0."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass

import pyarrow as pa
from redis import Redis

from pipeline.config import Settings
from pipeline.verify.shown import page
from pipeline.verify.subject import Subject, documents
from sinks.batch import Shard
from sinks.errors import GenerationMissing
from sinks.redis import RedisStore
from sinks.redis_link import translated

PAGE_KEYS = 1_000


@dataclass(frozen=True)
class RedisShown:
    """The documents in one server."""

    subjects: tuple[Subject, ...]
    client: Redis
    store: RedisStore

    def progress(self) -> Mapping[Shard, int]:
        generation = self.store.live()
        if generation is None:
            raise GenerationMissing("no generation of redis is live")
        return self.store.sink(generation).progress().offsets

    def pages(self, subject: Subject) -> Iterator[pa.Table]:
        cursor = 0
        while True:
            with translated():
                cursor, names = self.client.scan(cursor, match=f"{subject.name}:*", count=PAGE_KEYS)
            # A scan may name a key that has gone since.
            found = self._got(subject, [_text(name).partition(":")[2] for name in names])
            yield page(list(found), list(found.values()))
            if cursor == 0:
                return

    def some(self, subject: Subject, keys: Sequence[str]) -> dict[str, str]:
        return self._got(subject, keys)

    def _got(self, subject: Subject, keys: Sequence[str]) -> dict[str, str]:
        if not keys:
            return {}
        with translated():
            values = self.client.mget([f"{subject.name}:{key}" for key in keys])
        return {key: _text(value) for key, value in zip(keys, values, strict=True) if value is not None}


@contextmanager
def redis_shown(settings: Settings) -> Iterator[RedisShown]:
    """Open the cache as its readers do."""
    with (
        closing(RedisStore(settings.redis.url, settings.contract.document_shapes())) as store,
        Redis.from_url(settings.redis.url) as client,
    ):
        client.connection_pool.connection_kwargs["db"] = 0
        yield RedisShown(documents(settings.contract), client, store)


def _text(value: bytes | str) -> str:
    return value.decode(errors="backslashreplace") if isinstance(value, bytes) else value
