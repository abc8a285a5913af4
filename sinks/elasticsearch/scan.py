"""Searches that answer for every shard, or fail: the scan of an index at a point in time, and documents by id.

By default a search leaves out the shards that do not answer, and those that do not answer in time. What they hold would
look like documents that are missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import msgspec
import structlog

from sinks.elasticsearch.client import EsClient
from sinks.elasticsearch.document_cache import VersionedSource
from sinks.elasticsearch.mapping import METADATA_FIELD
from sinks.errors import SinkError, StoreUnavailable

log = structlog.get_logger()

MAX_HITS = 5_000
"""Documents of one answer; an index refuses searches for more than 10,000 (`index.max_result_window`)."""

REJECTION = f"{METADATA_FIELD}.rejection"
"""The field that says why a document was refused."""

_FIRST_HITS = 200
_ANSWER_BYTES = 16 * 2**20
_SCAN_KEPT_FOR = "5m"
_WHOLE = {"allow_partial_search_results": "false"}


class Hit(msgspec.Struct, rename={"id": "_id", "seq_no": "_seq_no", "term": "_primary_term", "source": "_source"}):
    """One document that a search found, with its `_source` as it was sent."""

    id: str
    source: msgspec.Raw
    seq_no: int = 0
    term: int = 0
    sort: list[int] = []

    @property
    def stored(self) -> VersionedSource:
        """The document as the sink remembers it."""
        return VersionedSource(bytes(self.source), self.seq_no, self.term)


class _Hits(msgspec.Struct):
    hits: list[Hit]


class _Shards(msgspec.Struct, frozen=True):
    failed: int = 0


class _Sharded(Protocol):
    @property
    def shards(self) -> _Shards: ...


class _Found(msgspec.Struct, rename={"shards": "_shards"}):
    hits: _Hits
    pit_id: str = ""
    timed_out: bool = False
    shards: _Shards = _Shards()


class _PointInTime(msgspec.Struct, rename={"shards": "_shards"}):
    id: str
    shards: _Shards = _Shards()


class _Refreshed(msgspec.Struct, rename={"shards": "_shards"}):
    shards: _Shards


class _Counted(msgspec.Struct, rename={"shards": "_shards"}):
    count: int
    shards: _Shards


ScanResponse = TypeVar("ScanResponse", bound=_Sharded)


@dataclass
class AnswerSize:
    """The number of documents to ask for, so that an answer stays near `_ANSWER_BYTES` whatever their size."""

    documents: int = _FIRST_HITS

    def record(self, documents: int, size_bytes: int) -> None:
        """Learn from an answer."""
        affordable = _ANSWER_BYTES * documents // max(size_bytes, 1)
        self.documents = max(1, min(affordable, 4 * self.documents, MAX_HITS))


def kind_query(*kinds: str) -> dict[str, Any]:
    """A query for some kinds of documents (`visible`, `hidden`, `progress`, `fences`)."""
    return {"terms": {f"{METADATA_FIELD}.kind": kinds}}


def scan(cluster: EsClient, index: str, query: dict[str, Any] | None = None) -> Iterator[list[Hit]]:
    """Find everything that was acknowledged before the call, in pages of one point in time.

    Args:
        index: an index or an alias, whose filter applies.
        query: None for everything.

    Raises:
        StoreUnavailable: a shard cannot serve now.
        GenerationMissing: the index is not there.
    """
    refresh(cluster, index)
    kept = {"keep_alive": _SCAN_KEPT_FOR}
    moment = _require_all_shards(cluster.request("POST", f"/{index}/_pit", _PointInTime, params=kept), index).id
    size = AnswerSize()
    wanted: dict[str, Any] = {"query": query} if query else {}
    try:
        while True:
            search = {
                "size": size.documents,
                "pit": {"id": moment, **kept},
                "sort": ["_shard_doc"],
                "seq_no_primary_term": True,
                "track_total_hits": False,
                **wanted,
            }
            found = _searched(cluster, "/_search", search, index)
            hits = found.hits.hits
            if not hits:
                return
            size.record(len(hits), sum(len(bytes(hit.source)) for hit in hits))
            yield hits
            moment, wanted["search_after"] = found.pit_id or moment, hits[-1].sort
    finally:
        _close(cluster, moment)


def by_id(
    cluster: EsClient,
    index: str,
    ids: Sequence[str],
    query: dict[str, Any] | None = None,
    fields: Sequence[str] = (),
) -> Iterator[Hit]:
    """Find documents as a search finds them, after a refresh; those that it does not find are left out.

    Args:
        index: an index or an alias, whose filter applies.
        query: what they must match beside.
        fields: what to return of each; everything where none is named, since a filter would round numbers.

    Raises:
        StoreUnavailable: a shard cannot serve now.
        GenerationMissing: the index is not there.
    """
    refresh(cluster, index)
    size, first = AnswerSize(), 0
    while first < len(ids):
        some = ids[first : first + size.documents]
        chosen = [{"ids": {"values": list(some)}}, *([query] if query else [])]
        search: dict[str, Any] = {"size": len(some), "query": {"bool": {"filter": chosen}}, "track_total_hits": False}
        if fields:
            search["_source"] = list(fields)
        hits = _searched(cluster, f"/{index}/_search", search, index).hits.hits
        yield from hits
        first += len(some)
        size.record(len(some), sum(len(bytes(hit.source)) for hit in hits))


def first(cluster: EsClient, index: str, query: dict[str, Any], fields: Sequence[str], limit: int) -> list[Hit]:
    """Find some documents, with these fields of each.

    Raises:
        StoreUnavailable: a shard cannot serve now.
        GenerationMissing: the index is not there.
    """
    search = {"size": limit, "query": query, "track_total_hits": False, "_source": list(fields)}
    return _searched(cluster, f"/{index}/_search", search, index).hits.hits


def count(cluster: EsClient, index: str, query: dict[str, Any]) -> int:
    """Count what a search would find.

    Raises:
        StoreUnavailable: a shard cannot serve now.
        GenerationMissing: the index is not there.
    """
    return _require_all_shards(cluster.request("POST", f"/{index}/_count", _Counted, {"query": query}), index).count


def refresh(cluster: EsClient, index: str) -> None:
    """Make everything that was acknowledged visible to searches.

    Raises:
        StoreUnavailable: a shard does not answer.
        GenerationMissing: the index is not there.
    """
    _require_all_shards(cluster.request("POST", f"/{index}/_refresh", _Refreshed), index)


def _searched(cluster: EsClient, path: str, search: dict[str, Any], index: str) -> _Found:
    found = _require_all_shards(cluster.request("POST", path, _Found, search, _WHOLE), index)
    if found.timed_out:
        raise StoreUnavailable(f"{index}: a search ended before every shard had answered")
    return found


def _require_all_shards(answer: ScanResponse, index: str) -> ScanResponse:
    """The answer, if every shard took part in it."""
    if answer.shards.failed:
        raise StoreUnavailable(f"{index}: {answer.shards.failed} shards failed")
    return answer


def _close(cluster: EsClient, moment: str) -> None:
    """End a point in time. Where that fails, it ends by itself, and what the scan met is not hidden by it."""
    try:
        answer = cluster.request_raw("DELETE", "/_pit", {"id": moment})
    except SinkError as error:
        log.debug("point in time not closed", reason=str(error))
        return
    if answer.status >= 300:
        log.debug("point in time not closed", status=answer.status)
