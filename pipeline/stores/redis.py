"""Description of the cache in Redis. Its client is imported when the store is opened."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager

from pipeline.config import Settings
from pipeline.stores.read_model import ModelKind, ReadModel
from sinks.sink import Store


@contextmanager
def _opened(settings: Settings) -> Iterator[Store]:
    from sinks.redis.store import RedisStore

    with closing(RedisStore(settings.redis.url, settings.definitions.document_shapes())) as store:
        yield store


def _free_bytes(settings: Settings) -> int:
    from redis import Redis

    from sinks.redis.connection import connection_pool, translate_errors

    connections = connection_pool(settings.redis.url)
    with closing(Redis(connection_pool=connections)) as client, translate_errors():
        memory = client.info("memory")
    connections.disconnect()
    return memory_left(memory)


def memory_left(memory: Mapping[str, int]) -> int:
    """Return the bytes that Redis may still use, from `INFO memory`: up to its own limit or the machine's memory."""
    if memory["maxmemory"]:
        return max(0, memory["maxmemory"] - memory["used_memory"])
    return max(0, memory["total_system_memory"] - memory["used_memory_rss"])


REDIS = ReadModel(
    name="redis",
    title="Redis",
    kind=ModelKind.DOCUMENT,
    open=_opened,
    reader="pipeline.verify.readers.redis:open_redis_reader",
    free_bytes=_free_bytes,
    call_budget_s=lambda settings: settings.watchdog.redis_s,
)
