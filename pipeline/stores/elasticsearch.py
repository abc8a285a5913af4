"""Description of the search model in Elasticsearch. Its client is imported when the store is opened."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec

from pipeline.config import Settings
from pipeline.stores.read_model import ModelKind, ReadModel

if TYPE_CHECKING:
    from sinks.elasticsearch.store import ElasticsearchStore


@contextmanager
def _opened(settings: Settings) -> Iterator[ElasticsearchStore]:
    from sinks.elasticsearch.store import ElasticsearchStore, connect

    timeout_s = settings.elasticsearch.request_timeout_s
    with connect(settings.elasticsearch.url, request_timeout_s=timeout_s) as client:
        yield ElasticsearchStore(client, settings.definitions.document_shapes())


def _check(settings: Settings) -> None:
    with _opened(settings) as store:
        store.check_indices()


class _Disk(msgspec.Struct):
    available_in_bytes: int


class _Disks(msgspec.Struct):
    total: _Disk


class _Node(msgspec.Struct):
    fs: _Disks


class _Nodes(msgspec.Struct):
    nodes: dict[str, _Node]


def _free_bytes(settings: Settings) -> int:
    """Return the free space of the node with the most: an Elasticsearch shard is on one node."""
    from sinks.elasticsearch.client import EsClient, connect

    given = settings.elasticsearch
    with connect(given.url, request_timeout_s=given.request_timeout_s) as client:
        nodes = EsClient(client).request("GET", "/_nodes/data:true/stats/fs", _Nodes).nodes
    return max((node.fs.total.available_in_bytes for node in nodes.values()), default=0)


ELASTICSEARCH = ReadModel(
    name="elasticsearch",
    title="Elasticsearch",
    kind=ModelKind.DOCUMENT,
    open=_opened,
    reader="pipeline.verify.readers.elasticsearch:open_elasticsearch_reader",
    free_bytes=_free_bytes,
    call_budget_s=lambda settings: settings.watchdog.elasticsearch_s,
    # Builders have different partitions, and so different parts of the same documents, which all of them write. That
    # costs the server more than it saves the builders (docs/reference/performance.md).
    cores_per_builder=2,
    check=_check,
)
