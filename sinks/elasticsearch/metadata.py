"""Generation metadata in the `_meta` of the index mappings, so that it is created, restored and deleted with the index.

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
    """Part of an index's mapping response: only the metadata."""

    mappings: _Mappings


def to_meta(record: GenerationMetadata) -> dict[str, Any]:
    """Return the mapping entry for generation metadata."""
    return {"_meta": {METADATA_FIELD: record.to_json()}}


def read_generations(cluster: EsClient, pattern: str) -> dict[str, GenerationMetadata]:
    """Return the generation metadata of all indices that match a pattern, by index name."""
    params = {"expand_wildcards": "all"}
    found = cluster.request("GET", f"/{pattern}/_mapping", dict[str, IndexWithMetadata], params=params)
    return {name: read_generation_metadata(index) for name, index in found.items()}


def read_generation_metadata(index: IndexWithMetadata) -> GenerationMetadata:
    """Return the generation metadata in an index's mapping, or `NO_METADATA` if it has none."""
    held = index.mappings.meta
    return readable(held[METADATA_FIELD]) if METADATA_FIELD in held else NO_METADATA
