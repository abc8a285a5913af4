"""Everything of some kind in an index, found by search."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import msgspec

from sinks.elasticsearch_client import Cluster
from sinks.elasticsearch_mapping import OURS
from sinks.elasticsearch_memory import Stored
from sinks.errors import StoreUnavailable

_PAGE = 2000
_PAGE_KEPT_FOR = "5m"
_WHOLE = {"allow_partial_search_results": "false"}
"""By default, a search leaves out the shards that do not answer."""


class _Hit(msgspec.Struct, rename={"id": "_id", "seq_no": "_seq_no", "term": "_primary_term", "source": "_source"}):
    id: str
    seq_no: int
    term: int
    source: msgspec.Raw
    sort: list[int]


class _Hits(msgspec.Struct):
    hits: list[_Hit]


class _Page(msgspec.Struct):
    hits: _Hits
    pit_id: str


class _PointInTime(msgspec.Struct):
    id: str


class _Shards(msgspec.Struct):
    failed: int


class _Refreshed(msgspec.Struct, rename={"shards": "_shards"}):
    shards: _Shards


def of_kind(*kinds: str) -> dict[str, Any]:
    """A query for some kinds of documents (`visible`, `hidden`, `progress`, `fences`)."""
    return {"terms": {f"{OURS}.kind": kinds}}


def pages(cluster: Cluster, index: str, *kinds: str) -> Iterator[dict[str, Stored]]:
    """Find everything of some kinds that was acknowledged before the call, by id, page by page.

    Raises:
        StoreUnavailable: the store cannot serve now.
        GenerationMissing: the index is not there.
    """
    refresh(cluster, index)
    moment = cluster.ask("POST", f"/{index}/_pit", _PointInTime, params={"keep_alive": _PAGE_KEPT_FOR}).id
    after: dict[str, Any] = {}
    try:
        while True:
            search = {
                "size": _PAGE,
                "query": of_kind(*kinds),
                "pit": {"id": moment, "keep_alive": _PAGE_KEPT_FOR},
                "sort": ["_shard_doc"],
                "seq_no_primary_term": True,
                "track_total_hits": False,
                **after,
            }
            page = cluster.ask("POST", "/_search", _Page, search, _WHOLE)
            found = page.hits.hits
            if not found:
                return
            yield {hit.id: Stored(bytes(hit.source), hit.seq_no, hit.term) for hit in found}
            moment, after = page.pit_id, {"search_after": found[-1].sort}
    finally:
        # What stays open ends by itself.
        with suppress(StoreUnavailable):
            cluster.answer("DELETE", "/_pit", {"id": moment})


def refresh(cluster: Cluster, index: str) -> None:
    """Make everything that was acknowledged visible to searches.

    Raises:
        StoreUnavailable: a shard does not answer.
        GenerationMissing: the index is not there.
    """
    refreshed = cluster.ask("POST", f"/{index}/_refresh", _Refreshed)
    if refreshed.shards.failed:
        raise StoreUnavailable(f"{index}: {refreshed.shards.failed} shards could not be refreshed")
