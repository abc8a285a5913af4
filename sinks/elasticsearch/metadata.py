"""The record of a generation, kept in the `_meta` of its indices' mappings: what belongs to an index goes with it.

Source: https://www.elastic.co/docs/reference/elasticsearch/mapping-reference/mapping-meta-field
"""

from __future__ import annotations

from typing import Any

import msgspec

from sinks.elasticsearch.client import Cluster
from sinks.elasticsearch.mapping import OURS
from sinks.generation import UNKNOWN, Record, readable


class _Mappings(msgspec.Struct, rename={"meta": "_meta"}):
    meta: dict[str, str] = {}


class IndexWithRecord(msgspec.Struct):
    """What an index answers of its mapping: the metadata only."""

    mappings: _Mappings


def meta(record: Record) -> dict[str, Any]:
    """What a mapping has of a record."""
    return {"_meta": {OURS: record.to_json()}}


def records(cluster: Cluster, pattern: str) -> dict[str, Record]:
    """The records of the indices of a pattern, by the name of the index."""
    params = {"expand_wildcards": "all"}
    found = cluster.ask("GET", f"/{pattern}/_mapping", dict[str, IndexWithRecord], params=params)
    return {name: record_of(index) for name, index in found.items()}


def record_of(index: IndexWithRecord) -> Record:
    """The record in the metadata of an index; `UNKNOWN` where it has none."""
    held = index.mappings.meta
    return readable(held[OURS]) if OURS in held else UNKNOWN
