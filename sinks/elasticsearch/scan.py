"""Searches that include every shard or fail: point-in-time scan of an index, search by id, and count.

By default a search skips shards that fail or time out. Their documents would look as if they were missing.
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
"""Documents of one answer. An index rejects searches for more than 10,000 (`index.max_result_window`)."""

REJECTION = f"{METADATA_FIELD}.rejection"
"""Field with the reason for a document's rejection."""

_FIRST_HITS = 200
_ANSWER_BYTES = 16 * 2**20
_SCAN_KEPT_FOR = "5m"
_WHOLE = {"allow_partial_search_results": "false"}


class Hit(msgspec.Struct, rename={"id": "_id", "seq_no": "_seq_no", "term": "_primary_term", "source": "_source"}):
    """One document of a search result, with its unchanged `_source`."""

    id: str
    source: msgspec.Raw
    seq_no: int = 0
    term: int = 0
    sort: list[int] = []

    @property
    def stored(self) -> VersionedSource:
        """The document in the form that the sink caches."""
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
    """Number of documents to request, so that an answer stays near `_ANSWER_BYTES` at any document size."""

    documents: int = _FIRST_HITS

    def record(self, documents: int, size_bytes: int) -> None:
        """Adjust the number of documents after an answer."""
        affordable = _ANSWER_BYTES * documents // max(size_bytes, 1)
        self.documents = max(1, min(affordable, 4 * self.documents, MAX_HITS))


def kind_query(*kinds: str) -> dict[str, Any]:
    """Return a query for some kinds of documents (`visible`, `hidden`, `progress`, `fences`)."""
    return {"terms": {f"{METADATA_FIELD}.kind": kinds}}


def scan(cluster: EsClient, index: str, query: dict[str, Any] | None = None) -> Iterator[list[Hit]]:
    """Yield all documents acknowledged before the call, in pages of one point in time.

    Args:
        index: an index or an alias, whose filter applies.
        query: None for all documents.

    Raises:
        StoreUnavailable: a shard cannot serve now.
        GenerationMissing: the index is missing.
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
    """Yield documents by id, as a search finds them after a refresh. Documents that it does not find are left out.

    Args:
        index: an index or an alias, whose filter applies.
        query: an additional condition.
        fields: the fields to return; empty for the whole source, because a filter would round numbers.

    Raises:
        StoreUnavailable: a shard cannot serve now.
        GenerationMissing: the index is missing.
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
    """Return up to `limit` documents, with these fields of each.

    Raises:
        StoreUnavailable: a shard cannot serve now.
        GenerationMissing: the index is missing.
    """
    search = {"size": limit, "query": query, "track_total_hits": False, "_source": list(fields)}
    return _searched(cluster, f"/{index}/_search", search, index).hits.hits


def count(cluster: EsClient, index: str, query: dict[str, Any]) -> int:
    """Count the documents that a search would find.

    Raises:
        StoreUnavailable: a shard cannot serve now.
        GenerationMissing: the index is missing.
    """
    return _require_all_shards(cluster.request("POST", f"/{index}/_count", _Counted, {"query": query}), index).count


def refresh(cluster: EsClient, index: str) -> None:
    """Make all acknowledged writes visible to searches.

    Raises:
        StoreUnavailable: a shard does not answer.
        GenerationMissing: the index is missing.
    """
    _require_all_shards(cluster.request("POST", f"/{index}/_refresh", _Refreshed), index)


def _searched(cluster: EsClient, path: str, search: dict[str, Any], index: str) -> _Found:
    found = _require_all_shards(cluster.request("POST", path, _Found, search, _WHOLE), index)
    if found.timed_out:
        raise StoreUnavailable(f"{index}: a search ended before every shard had answered")
    return found


def _require_all_shards(answer: ScanResponse, index: str) -> ScanResponse:
    """Return the answer if no shard failed."""
    if answer.shards.failed:
        raise StoreUnavailable(f"{index}: {answer.shards.failed} shards failed")
    return answer


def _close(cluster: EsClient, moment: str) -> None:
    """Close a point in time. A failure is only logged.

    The point in time expires by itself, and an error of the scan must stay visible.
    """
    try:
        answer = cluster.request_raw("DELETE", "/_pit", {"id": moment})
    except SinkError as error:
        log.debug("closing point in time failed", reason=str(error))
        return
    if answer.status >= 300:
        log.debug("closing point in time failed", status=answer.status)
