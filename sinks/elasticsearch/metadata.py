"""The record of a generation, kept in the `_meta` of its indices' mappings: what belongs to an index goes with it.

Source: https://www.elastic.co/docs/reference/elasticsearch/mapping-reference/mapping-meta-field
"""

from __future__ import annotations

from typing import Any

import msgspec

from sinks.elasticsearch.client import EsClient
from sinks.elasticsearch.mapping import METADATA_FIELD
from sinks.generation import NO_METADATA, GenerationMetadata, readable


class _Mappings(msgspec.Struct, rename={"meta": "_meta"}):
    meta: dict[str, str] = {}


class IndexWithMetadata(msgspec.Struct):
    """What an index answers of its mapping: the metadata only."""

    mappings: _Mappings


def to_meta(record: GenerationMetadata) -> dict[str, Any]:
    """What a mapping has of a record."""
    return {"_meta": {METADATA_FIELD: record.to_json()}}


def read_generations(cluster: EsClient, pattern: str) -> dict[str, GenerationMetadata]:
    """The records of the indices of a pattern, by the name of the index."""
    params = {"expand_wildcards": "all"}
    found = cluster.request("GET", f"/{pattern}/_mapping", dict[str, IndexWithMetadata], params=params)
    return {name: read_generation_metadata(index) for name, index in found.items()}


def read_generation_metadata(index: IndexWithMetadata) -> GenerationMetadata:
    """The record in the metadata of an index; `NO_METADATA` where it has none."""
    held = index.mappings.meta
    return readable(held[METADATA_FIELD]) if METADATA_FIELD in held else NO_METADATA
