"""Space check for another generation beside the existing ones."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass

import msgspec

from pipeline import read_models
from pipeline.config import Settings
from pipeline.generations.readable import readable_generations
from pipeline.log_scan.finding import FindingReason, LogFinding
from sinks.errors import GenerationBroken, GenerationMissing

HEADROOM_FACTOR = 2
"""Factor on the size of a generation: a store needs more space while it builds one than afterwards."""


@dataclass(frozen=True)
class DiskSpace:
    """Space that a rebuild needs, and the free space.

    Args:
        needed_bytes: the size of the live generation, as an estimate for the new one; zero if there is none.
        free_bytes: on Elasticsearch's node with the most free space, in Redis's memory, or on DuckDB's disk.
    """

    model: str
    needed_bytes: int
    free_bytes: int

    def findings(self) -> list[LogFinding]:
        """Return a finding if the space is insufficient or low."""
        told = f"{self.model} needs about {_mb(self.needed_bytes)} more, and has {_mb(self.free_bytes)}"
        if self.free_bytes < self.needed_bytes:
            return [LogFinding(FindingReason.INSUFFICIENT_SPACE, told)]
        if self.free_bytes < HEADROOM_FACTOR * self.needed_bytes:
            return [LogFinding(FindingReason.LOW_SPACE, told)]
        return []


def disk_space(model: str, settings: Settings) -> DiskSpace:
    """Read the needed and the free space of a model's store.

    Raises:
        SinkError: the store does not answer.
    """
    with read_models.open_shared(model, settings) as store:
        live = readable_generations(store).live
        try:
            needed = 0 if live is None else store.size_bytes(live)
        except (GenerationMissing, GenerationBroken):
            needed = 0
    return DiskSpace(model, needed, _FREE[model](settings))


class _Disk(msgspec.Struct):
    available_in_bytes: int


class _Disks(msgspec.Struct):
    total: _Disk


class _Node(msgspec.Struct):
    fs: _Disks


class _Nodes(msgspec.Struct):
    nodes: dict[str, _Node]


def _of_elasticsearch(settings: Settings) -> int:
    from sinks.elasticsearch.client import EsClient, connect

    given = settings.elasticsearch
    with connect(given.url, request_timeout_s=given.request_timeout_s) as client:
        nodes = EsClient(client).request("GET", "/_nodes/data:true/stats/fs", _Nodes).nodes
    # An Elasticsearch shard is on one node.
    return max((node.fs.total.available_in_bytes for node in nodes.values()), default=0)


def _of_redis(settings: Settings) -> int:
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


def _of_duckdb(settings: Settings) -> int:
    directory = settings.duckdb.directory.absolute()
    return shutil.disk_usage(next(path for path in (directory, *directory.parents) if path.exists())).free


_FREE: dict[str, Callable[[Settings], int]] = {
    "elasticsearch": _of_elasticsearch,
    "redis": _of_redis,
    "duckdb": _of_duckdb,
}


def _mb(size: int) -> str:
    return f"{size / 2**20:,.1f} MB"
