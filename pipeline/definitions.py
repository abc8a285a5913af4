"""Definitions of the read models: the part of `readmodels.toml` that the engine treats as data."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any

from connectors.capture_list import topic_of
from pipeline.invalid_definitions import InvalidDefinitions
from pipeline.table_view import RowSelection, TableView, select_rows
from sinks.batch import HISTORY_COLUMNS, SPECIAL_COLUMNS
from sinks.duckdb.types import with_decimal_type
from sinks.ordering.columns import ORDER_COLUMNS
from sinks.shape import ROOT, DocumentShape, RowShape

_DOCUMENT_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,99}")
"""Pattern of document names. Stores derive the names of indices and keys from them."""


RESERVED_COLUMNS = {
    *(
        *ORDER_COLUMNS.names,
        *HISTORY_COLUMNS.names,
        SPECIAL_COLUMNS,
        "_shown",
        "_row",
        "_index",
        "_held",
        "_was_shown",
        "rowid",
    ),
    *(
        "_valid_from",
        "_valid_to",
        "_started_at",
        "_partitions",
        "_newest",
        "_proved",
        "_in_doubt",
        "_seen",
        "_place",
        "_moment",
    ),
}
"""Columns that the models add to a table's own, and DuckDB's name for a row's position."""

_KEY_PREFIX = re.compile(r"[\w.:/@#+-]{1,200}")
"""Pattern of the prefix of a document's keys. It has no character that a pattern of Redis interprets."""

_OURS = "readmodels"
"""Metadata field of a document."""


@dataclass(frozen=True, kw_only=True)
class TableDefinition:
    """Definition of a source table.

    Args:
        source: the table with its schema, such as `public.orders`.
        key: the columns of its primary key. In `readmodels.toml` they may be left to the database.
        columns: name and PostgreSQL type of every column that the models have. In `readmodels.toml` they may be left to
            the database: then they are all columns that can be captured.
        exclude: columns that the connector does not send; they are in no model and not in Kafka.
        earlier: by column, the value of records that were written before the column was added, or was given its type.
            Recorded by a rebuild, never written by hand.
        earlier_end: by partition, the offset at which those records end.
    """

    source: str
    key: tuple[str, ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict)
    exclude: tuple[str, ...] = ()
    earlier: Mapping[str, Any] = field(default_factory=dict)
    earlier_end: Mapping[str, int] = field(default_factory=dict)

    @property
    def is_complete(self) -> bool:
        """False if key or columns are left to the database."""
        return bool(self.key and self.columns)

    def __post_init__(self) -> None:
        unknown = [name for name in self.key if name not in self.columns]
        if unknown and self.columns:
            raise InvalidDefinitions(f"{self.source}: the key {list(self.key)} is not among its columns")
        if excluded := sorted({*self.exclude} & {*self.key, *self.columns}):
            raise InvalidDefinitions(f"{self.source}: {excluded} are excluded and used")
        reserved = [name for name in self.columns if name.lower() in RESERVED_COLUMNS]
        if reserved:
            raise InvalidDefinitions(f"{self.source}: the column names {sorted(reserved)} are ours")
        if alike := _alike(self.columns):
            raise InvalidDefinitions(
                f"{self.source}: the column names {alike} differ in case only, which DuckDB ignores"
            )


@dataclass(frozen=True, kw_only=True)
class CollectionDefinition(RowSelection):
    """Definition of a document's child rows.

    Args:
        table: their table.
        parent: the columns that contain the root's key.
        references: the columns of the root that `parent` refers to. They can only be the root's key.
    """

    table: str
    parent: tuple[str, ...]
    references: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class IndexDefinition:
    """Definition of a document's index in Elasticsearch, as far as it differs from the generated one.

    Args:
        settings: index settings, such as `number_of_shards` and `analysis`.
        mappings: field mappings, below `properties`.
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    mappings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class KeyDefinition:
    """Definition of a document's keys in Redis: their prefix, instead of the document's name and a colon."""

    key_prefix: str = ""


@dataclass(frozen=True, kw_only=True)
class DocumentDefinition(RowSelection):
    """Definition of a document: its root table, its collections by field name, and its form in the stores."""

    root: str
    elasticsearch: IndexDefinition = IndexDefinition()
    redis: KeyDefinition = KeyDefinition()
    collections: Mapping[str, CollectionDefinition] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ModelDefinitions:
    """Definitions of tables and documents by name, and of the topics of the tables' changes."""

    topic_prefix: str
    tables: Mapping[str, TableDefinition]
    documents: Mapping[str, DocumentDefinition]

    def __post_init__(self) -> None:
        if lacking := [name for name, table in self.tables.items() if not table.is_complete]:
            raise InvalidDefinitions(f"key and columns of {', '.join(lacking)} are not known")
        if len({table.source for table in self.tables.values()}) < len(self.tables):
            raise InvalidDefinitions("two tables have the same source")
        if shared := [topic for topic, count in Counter(map(self.topic, self.tables)).items() if count > 1]:
            raise InvalidDefinitions(
                f"two tables would have one topic, {shared[0]}: Kafka allows letters, digits, . _ -"
            )
        if alike := _alike(
            [*self.tables, *(f"{name}_{suffix}" for name in self.tables for suffix in ("history", "as_of"))]
        ):
            raise InvalidDefinitions(f"tables, or their histories, would have one name in DuckDB: {alike}")
        # The views are built here, so that a document that cannot be built is refused at once.
        _ = self.views
        _require_prefixes(self.document_shapes())

    def topic(self, table: str) -> str:
        """Return the topic of a table's changes."""
        return topic_of(self.topic_prefix, self.tables[table].source)

    @property
    def topics(self) -> dict[str, str]:
        """Table of every topic."""
        return {self.topic(name): name for name in self.tables}

    def to_json(self) -> str:
        """Convert to a JSON object that `parse_definitions` reads."""
        return json.dumps(asdict(self), sort_keys=True)

    def without_ends(self) -> ModelDefinitions:
        """Return the definitions without `earlier_end`, so that rebuilds of the same definitions compare as equal."""
        tables = {name: replace(table, earlier_end={}) for name, table in self.tables.items()}
        return replace(self, tables=tables)

    @cached_property
    def views(self) -> Mapping[str, Mapping[str, TableView]]:
        """Views of every document: of its root, under `sinks.shape.ROOT`, and of its collections by field name."""
        return {name: self._views_of(name, document) for name, document in self.documents.items()}

    def row_shapes(self) -> list[RowShape]:
        """Return the tables of a row model."""
        return [RowShape(name, table.key, _row_columns(table)) for name, table in self.tables.items()]

    def document_shapes(self) -> list[DocumentShape]:
        """Return the documents of a document model."""
        return [
            DocumentShape(
                name,
                views[ROOT].columns,
                {collection: view.columns for collection, view in views.items() if collection != ROOT},
                _index_of(self.documents[name].elasticsearch),
                self.documents[name].redis.key_prefix,
            )
            for name, views in self.views.items()
        ]

    def _views_of(self, name: str, document: DocumentDefinition) -> dict[str, TableView]:
        if not _DOCUMENT_NAME.fullmatch(name) or name == _OURS:
            raise InvalidDefinitions(f"document {name!r}: a name has lower-case letters, digits, `_` and `-` only")
        root = self._table(f"document {name}", document.root)
        views = {ROOT: select_rows(f"document {name}", document.root, root, root.key, document)}
        shown = views[ROOT].columns
        if _OURS in shown:
            raise InvalidDefinitions(f"document {name}: the column name {_OURS} is ours")
        for collection, child in document.collections.items():
            place = f"{name}.{collection}"
            table = self._table(place, child.table)
            if not {*child.parent} <= {*table.columns} or len(child.parent) != len(root.key):
                raise InvalidDefinitions(f"{place}: {list(child.parent)} does not hold the key of {document.root}")
            if child.references not in ((), root.key):
                raise InvalidDefinitions(
                    f"{place}: `parent` must refer to the key of {document.root}, {list(root.key)}: a document is "
                    f"found by it, and a row of {child.table} with {list(child.references)} does not contain it"
                )
            if collection in {*shown, _OURS, ROOT} or "/" in collection:
                raise InvalidDefinitions(f"document {name}: {collection} cannot be the name of a collection")
            views[collection] = select_rows(place, child.table, table, child.parent, child)
        return views

    def _table(self, place: str, name: str) -> TableDefinition:
        if name not in self.tables:
            raise InvalidDefinitions(f"{place}: there is no table {name}")
        return self.tables[name]


def parse_definitions(text: str) -> ModelDefinitions:
    """Parse the output of `ModelDefinitions.to_json`."""
    plain = json.loads(text)
    return ModelDefinitions(
        topic_prefix=plain["topic_prefix"],
        tables={
            name: TableDefinition(**{**table, "key": tuple(table["key"]), "exclude": tuple(table.get("exclude", ()))})
            for name, table in plain["tables"].items()
        },
        documents={name: _parse_document(document) for name, document in plain["documents"].items()},
    )


def _parse_document(plain: Mapping[str, Any]) -> DocumentDefinition:
    collections = {name: CollectionDefinition(**_tuples(child)) for name, child in plain["collections"].items()}
    stores = {
        "elasticsearch": IndexDefinition(**plain.get("elasticsearch", {})),
        "redis": KeyDefinition(**plain.get("redis", {})),
    }
    return DocumentDefinition(**{**_tuples(plain), **stores, "collections": collections})


def _index_of(definition: IndexDefinition) -> dict[str, Mapping[str, Any]]:
    return {name: value for name, value in asdict(definition).items() if value}


def _require_prefixes(shapes: Iterable[DocumentShape]) -> None:
    """Refuse prefixes of keys by which a scan would find the keys of another document, or those of the sink."""
    prefixes = {shape.prefix: shape.name for shape in shapes}
    for shape in shapes:
        if not _KEY_PREFIX.fullmatch(shape.prefix):
            raise InvalidDefinitions(f"document {shape.name}: a key prefix has no blanks, quotes, braces or wildcards")
        others = [name for prefix, name in prefixes.items() if name != shape.name and prefix.startswith(shape.prefix)]
        if others or prefixes[shape.prefix] != shape.name:
            raise InvalidDefinitions(f"document {shape.name}: other keys begin with {shape.prefix}")
        if shape.prefix.startswith(f"{_OURS}:") or f"{_OURS}:".startswith(shape.prefix):
            raise InvalidDefinitions(f"document {shape.name}: the key prefix {shape.prefix} is ours")


def _tuples(plain: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in plain.items()}


def _alike(names: Iterable[str]) -> list[str]:
    """Return the names that equal another one if case is ignored."""
    counts = Counter(map(str.lower, names))
    return sorted(name for name, count in counts.items() if count > 1)


def _row_columns(table: TableDefinition) -> dict[str, str]:
    # Equal numbers of a key may be sent as different texts, which the merge of a batch tells apart.
    return {name: text if name in table.key else with_decimal_type(text) for name, text in table.columns.items()}
