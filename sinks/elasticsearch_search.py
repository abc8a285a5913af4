"""Everything of some kind in an index, found by search."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from sinks.elasticsearch_client import Cluster
from sinks.elasticsearch_mapping import OURS

_PAGE = 2000
_PAGE_KEPT_FOR = "5m"


class Hit(msgspec.Struct, rename={"id": "_id", "source": "_source"}):
    """One document."""

    id: str
    source: msgspec.Raw = msgspec.Raw()
    sort: list[int] = []


class _Hits(msgspec.Struct):
    hits: list[Hit]


class _Page(msgspec.Struct):
    hits: _Hits
    pit_id: str


class _PointInTime(msgspec.Struct):
    id: str


def of_kind(*kinds: str) -> dict[str, Any]:
    """A query for some kinds of documents (`visible`, `hidden`, `progress`, `fences`)."""
    return {"terms": {f"{OURS}.kind": kinds}}


def pages(cluster: Cluster, index: str, kinds: tuple[str, ...]) -> Iterator[list[Hit]]:
    """Find everything of some kinds that was acknowledged before, page by page, as of the moment of the call.

    Raises:
        StoreUnavailable: the store cannot serve now.
        GenerationMissing: the index is not there.
    """
    # What is not refreshed is not searched.
    cluster.ask("POST", f"/{index}/_refresh", dict[str, Any])
    moment = cluster.ask("POST", f"/{index}/_pit", _PointInTime, params={"keep_alive": _PAGE_KEPT_FOR}).id
    after: dict[str, Any] = {}
    try:
        while True:
            search = {
                "size": _PAGE,
                "query": of_kind(*kinds),
                "pit": {"id": moment, "keep_alive": _PAGE_KEPT_FOR},
                "sort": ["_shard_doc"],
                "track_total_hits": False,
                **after,
            }
            page = cluster.ask("POST", "/_search", _Page, search)
            if not page.hits.hits:
                return
            yield page.hits.hits
            moment, after = page.pit_id, {"search_after": page.hits.hits[-1].sort}
    finally:
        cluster.answer("DELETE", "/_pit", {"id": moment})
