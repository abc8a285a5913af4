"""The index of a document: which Elasticsearch type each PostgreSQL type is searched by, and the index's settings.

Elasticsearch keeps a document's `_source` as it was sent, so a mapping decides only what is searchable, never what is
kept. No value that PostgreSQL accepts may be refused by it: what cannot be indexed (NaN as a number, infinity as a
date, a text too long for one term) is kept and shown, and only not found by that field.

Source: https://www.elastic.co/docs/reference/elasticsearch/mapping-reference
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sinks.errors import SinkError
from sinks.pg_type import parse_pg_type
from sinks.shape import DocumentShape

METADATA_FIELD = "readmodels"
"""The field that holds what the sink keeps of a document beside its content."""

Properties = dict[str, dict[str, Any]]

_LONGEST_TERM = 8191
"""Characters: Lucene refuses a term above 32,766 bytes, and a character takes up to four."""

_KEPT_ONLY: dict[str, Any] = {"type": "object", "enabled": False}
"""Takes any JSON value, not only objects, and indexes nothing of it."""

_KEPT_OF_OURS = ("registers", "images", "rejection", "packed", "progress", "shards", "fences", "applied")

OWN_FIELDS: Properties = {
    METADATA_FIELD: {
        "dynamic": "strict",
        "properties": {"kind": {"type": "keyword"}, **dict.fromkeys(_KEPT_OF_OURS, _KEPT_ONLY)},
    }
}
"""The fields that the sink keeps beside a document's own."""

_DECIMAL: dict[str, Any] = {"type": "double", "ignore_malformed": True}
_INSTANT: dict[str, Any] = {"type": "date", "ignore_malformed": True}
_TEXT: dict[str, Any] = {"type": "text", "fields": {"keyword": {"type": "keyword", "ignore_above": 256}}}
_TERM: dict[str, Any] = {"type": "keyword", "ignore_above": _LONGEST_TERM}

_FIELDS: dict[str, dict[str, Any]] = {
    "smallint": {"type": "short"},
    "integer": {"type": "integer"},
    "bigint": {"type": "long"},
    "oid": {"type": "long"},
    "boolean": {"type": "boolean"},
    **dict.fromkeys(("numeric", "money", "real", "double precision"), _DECIMAL),
    **dict.fromkeys(("date", "timestamp", "timestamptz"), _INSTANT),
    **dict.fromkeys(("text", "varchar", "char", "citext", "name"), _TEXT),
    **dict.fromkeys(("json", "jsonb", "hstore", "bytea"), _KEPT_ONLY),
}

_METADATA = frozenset(
    {"_id", "_index", "_source", "_type", "_routing", "_version", "_seq_no", "_primary_term", "_size", "_tier"}
    | {"_field_names", "_ignored", "_ignored_source", "_nested_path", "_doc_count", "_feature", "_inference_fields"}
)


class InvalidMapping(SinkError):
    """An index cannot hold a document of this shape."""

    remedy = (
        "Rename the column in PostgreSQL, or rename the document, or leave the column out of [tables.….columns] in "
        "`readmodels.toml`."
    )


@dataclass(frozen=True, kw_only=True)
class IndexSettings:
    """What an operator decides about every index.

    Args:
        prefix: how the names of all indices and aliases begin, where several installations share a cluster.
        topic_partitions: primary shards; fixed for the life of an index.
        replicas: copies of every shard, or None for one as soon as a second node can hold it. A write is acknowledged
            by the primary, and reaches the copies before the answer.
    """

    prefix: str = ""
    topic_partitions: int = 1
    replicas: int | None = None

    def serving_settings(self) -> dict[str, Any]:
        """The settings of an index that is searched, as Elasticsearch takes them; None is its own default."""
        if self.replicas is None:
            return {"auto_expand_replicas": "0-1", "refresh_interval": None}
        return {"auto_expand_replicas": "false", "number_of_replicas": self.replicas, "refresh_interval": None}


BULK_LOAD_SETTINGS: Mapping[str, Any] = {
    "auto_expand_replicas": "false",
    "number_of_replicas": 0,
    "refresh_interval": "-1",
}
"""Settings of an index that is filled and not searched. `IndexSettings.serving_settings` takes each of them back."""

SERVED_BULK_LOAD_SETTINGS: Mapping[str, Any] = {"refresh_interval": "5s"}
"""What changes where readers search it all the same: how soon they find what was written."""


def index_body(shape: DocumentShape, settings: IndexSettings, *, is_complete: bool = True) -> dict[str, Any]:
    """Settings and mappings of an index for documents of one shape.

    Args:
        is_complete: whether it is searched, or only filled for now.

    Raises:
        InvalidMapping: a name of the shape cannot be the name of a field.
    """
    fields = 3 * (len(shape.columns) + sum(2 * len(columns) + 1 for columns in shape.collections.values()))
    return {
        "settings": {
            "index": {
                "number_of_shards": settings.topic_partitions,
                **(settings.serving_settings() if is_complete else BULK_LOAD_SETTINGS),
                # An acknowledged write must survive a crash: progress rests on it.
                "translog": {"durability": "request"},
                # A table may have up to 1,600 columns, and an order more than the default of 10,000 items.
                "mapping": {"total_fields.limit": 1000 + fields, "nested_objects.limit": 1_000_000},
            }
        },
        "mappings": {"dynamic": "strict", "properties": _document(shape)},
    }


def _document(shape: DocumentShape) -> Properties:
    taken = {*shape.columns} & {*shape.collections} | {METADATA_FIELD} & {*shape.columns, *shape.collections}
    if taken:
        raise InvalidMapping(f"document {shape.name!r} needs these names twice: {', '.join(sorted(taken))}")
    return {
        **_columns(shape.columns, shape.name),
        **{name: _collection(columns, shape.name) for name, columns in shape.collections.items()},
        **OWN_FIELDS,
    }


def _collection(columns: Mapping[str, str], document: str) -> dict[str, Any]:
    # Nested, so that conditions on two fields can be asked of one and the same item; in the root as well, so that a
    # plain condition on `items.sku` finds the document without a nested query.
    properties = _columns(columns, document)
    return {"type": "nested", "include_in_root": True, "dynamic": "strict", "properties": properties}


def _columns(columns: Mapping[str, str], document: str) -> Properties:
    for name in columns:
        # Elasticsearch would read a dot as a path of objects.
        if "." in name or not name.strip() or name in _METADATA:
            raise InvalidMapping(f"document {document!r}: {name!r} cannot be the name of a field")
    return {name: _FIELDS.get(parse_pg_type(text).name, _TERM) for name, text in columns.items()}
