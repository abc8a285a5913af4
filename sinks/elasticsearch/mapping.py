"""Elasticsearch mapping and settings of a document's index.

Elasticsearch stores `_source` unchanged, so the mapping decides only which fields are searchable. The mapping must
accept every value that PostgreSQL accepts. Some values cannot be indexed: NaN as a number, infinity as a date, a text
too long for one term. They are stored and returned, but a search by that field does not find them.

Source: https://www.elastic.co/docs/reference/elasticsearch/mapping-reference
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from sinks.elasticsearch.overrides import check_settings, override_fields
from sinks.errors import SinkError
from sinks.pg_type import parse_pg_type
from sinks.shape import DocumentShape

METADATA_FIELD = "readmodels"
"""Field for the sink's metadata in every document."""

Properties = dict[str, dict[str, Any]]

_CHOSEN = frozenset({"number_of_shards", "number_of_replicas", "refresh_interval"})
"""Settings of a document that `IndexSettings` contains."""

_LONGEST_TERM = 8191
"""In characters. Lucene rejects a term above 32,766 bytes, and a character has up to four."""

_KEPT_ONLY: dict[str, Any] = {"type": "object", "enabled": False}
"""Accepts any JSON value, not only objects, and indexes nothing."""

_KEPT_OF_OURS = ("registers", "images", "rejection", "packed", "progress", "shards", "fences", "applied")

OWN_FIELDS: Properties = {
    METADATA_FIELD: {
        "dynamic": "strict",
        "properties": {"kind": {"type": "keyword"}, **dict.fromkeys(_KEPT_OF_OURS, _KEPT_ONLY)},
    }
}
"""Metadata fields that the sink adds to the fields of a document."""

_DECIMAL: dict[str, Any] = {"type": "double", "ignore_malformed": True}
_INSTANT: dict[str, Any] = {"type": "date", "ignore_malformed": True}
_TEXT: dict[str, Any] = {"type": "text", "fields": {"keyword": {"type": "keyword", "ignore_above": 256}}}
_TERM: dict[str, Any] = {"type": "keyword", "ignore_above": _LONGEST_TERM}
_LABEL: dict[str, Any] = {**_TERM, "fields": {"keyword": _TERM}}
"""Enums, which readers query as text: by the field, or by its `.keyword`."""

_FIELDS: dict[str, dict[str, Any]] = {
    "smallint": {"type": "short"},
    "integer": {"type": "integer"},
    "bigint": {"type": "long"},
    "oid": {"type": "long"},
    "boolean": {"type": "boolean"},
    **dict.fromkeys(("numeric", "money", "real", "double precision"), _DECIMAL),
    **dict.fromkeys(("date", "timestamp", "timestamptz"), _INSTANT),
    **dict.fromkeys(("text", "varchar", "char", "citext", "name"), _TEXT),
    **dict.fromkeys(("uuid", "bit", "time", "timetz", "interval", "inet", "cidr", "macaddr", "macaddr8"), _TERM),
    **dict.fromkeys(("tsvector", "ltree", "int4range", "int8range", "numrange"), _TERM),
    **dict.fromkeys(("tsrange", "tstzrange", "daterange"), _TERM),
    **dict.fromkeys(("json", "jsonb", "hstore", "bytea"), _KEPT_ONLY),
}

_METADATA = frozenset(
    {"_id", "_index", "_source", "_type", "_routing", "_version", "_seq_no", "_primary_term", "_size", "_tier"}
    | {"_field_names", "_ignored", "_ignored_source", "_nested_path", "_doc_count", "_feature", "_inference_fields"}
)


class InvalidMapping(SinkError):
    """A document of this shape cannot be mapped to an index."""

    remedy = (
        "Rename the column in PostgreSQL, or rename the document, or leave the column out of [tables.….columns] in "
        "`readmodels.toml`."
    )


@dataclass(frozen=True, kw_only=True)
class IndexSettings:
    """Settings of every index, chosen by the operator.

    Args:
        prefix: the prefix of all index and alias names, for several installations in one cluster.
        shards: the number of primary shards; fixed when an index is created.
        replicas: the number of copies of every shard, or None for one copy as soon as a second node exists. The primary
            acknowledges a write after the copies have it.
        refresh_interval: the interval after which a search finds new writes; None for Elasticsearch's default.
    """

    prefix: str = ""
    shards: int = 1
    replicas: int | None = None
    refresh_interval: str | None = None

    def of_document(self, shape: DocumentShape) -> IndexSettings:
        """Return the settings of a document's index, which may declare its own."""
        own = shape.index.get("settings", {})
        return replace(
            self,
            shards=own.get("number_of_shards", self.shards),
            replicas=own.get("number_of_replicas", self.replicas),
            refresh_interval=own.get("refresh_interval", self.refresh_interval),
        )

    def serving_settings(self) -> dict[str, Any]:
        """Return the settings of an index that is searched. The value None restores Elasticsearch's default."""
        if self.replicas is None:
            return {"auto_expand_replicas": "0-1", "refresh_interval": self.refresh_interval}
        return {
            "auto_expand_replicas": "false",
            "number_of_replicas": self.replicas,
            "refresh_interval": self.refresh_interval,
        }


BULK_LOAD_SETTINGS: Mapping[str, Any] = {
    "auto_expand_replicas": "false",
    "number_of_replicas": 0,
    "refresh_interval": "-1",
}
"""Settings of an index that is filled and not searched. `IndexSettings.serving_settings` reverts each of them."""

SERVED_BULK_LOAD_SETTINGS: Mapping[str, Any] = {"refresh_interval": "5s"}
"""Changed settings if readers search the index while it is filled: the interval after which they find new writes."""


def index_body(shape: DocumentShape, settings: IndexSettings, *, is_complete: bool = True) -> dict[str, Any]:
    """Return the settings and mappings of an index for documents of one shape.

    Args:
        is_complete: the index is searched; otherwise it is only filled for now.

    Raises:
        InvalidMapping: a name of the shape cannot be a field name.
        InvalidOverride: the document declares a setting or a mapping that the sink cannot accept.
    """
    own = shape.index.get("settings", {})
    check_settings(shape.name, own)
    settings = settings.of_document(shape)
    fields = 3 * (len(shape.columns) + sum(2 * len(columns) + 1 for columns in shape.collections.values()))
    return {
        "settings": {
            "index": {
                **{name: value for name, value in own.items() if name not in _CHOSEN},
                "number_of_shards": settings.shards,
                **(settings.serving_settings() if is_complete else BULK_LOAD_SETTINGS),
                # An acknowledged write must survive a crash, because progress depends on it.
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
    fields = {
        **_columns(shape.columns, shape.name),
        **{name: _collection(columns, shape.name) for name, columns in shape.collections.items()},
    }
    return {**override_fields(shape.name, fields, shape.index.get("mappings", {})), **OWN_FIELDS}


def _collection(columns: Mapping[str, str], document: str) -> dict[str, Any]:
    # Nested fields allow conditions on two fields of the same item. The root also includes them, so that a plain
    # condition on `items.sku` finds the document without a nested query.
    properties = _columns(columns, document)
    return {"type": "nested", "include_in_root": True, "dynamic": "strict", "properties": properties}


def _columns(columns: Mapping[str, str], document: str) -> Properties:
    for name in columns:
        # Elasticsearch would read a dot as a path of objects.
        if "." in name or not name.strip() or name in _METADATA:
            raise InvalidMapping(f"document {document!r}: {name!r} cannot be the name of a field")
    return {name: _FIELDS.get(parse_pg_type(text).name, _LABEL) for name, text in columns.items()}
