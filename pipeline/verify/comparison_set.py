"""Comparison set: the documents of one name, or the rows of one table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256

from pipeline.definitions import ModelDefinitions, TableDefinition
from pipeline.stores.read_model import ModelKind


@dataclass(frozen=True)
class Children:
    """Child rows in one array of a document.

    Args:
        parent: the columns that contain the root's key.
    """

    table: TableDefinition
    parent: tuple[str, ...]


@dataclass(frozen=True)
class ComparisonSet:
    """Documents of one name, or rows of one table.

    Args:
        name: of the document or the table.
        root: the source table; each of its rows makes one document or row.
        collections: child rows by the name of their array; empty for rows of a table.
    """

    name: str
    root: TableDefinition
    form: ModelKind
    collections: Mapping[str, Children] = field(default_factory=dict)

    @cached_property
    def label(self) -> str:
        """Text that is unique to this set, across documents, tables and definitions."""
        return f"{self.form.name.lower()} {self.name} {sha256(repr(self).encode()).hexdigest()[:16]}"


def comparison_sets(kind: ModelKind, definitions: ModelDefinitions) -> tuple[ComparisonSet, ...]:
    """Return the comparison sets of a model of this kind."""
    return (tables if kind is ModelKind.ROW else documents)(definitions)


def documents(definitions: ModelDefinitions) -> tuple[ComparisonSet, ...]:
    """Return the comparison sets of a document model."""
    return tuple(
        ComparisonSet(
            name,
            definitions.tables[document.root],
            ModelKind.DOCUMENT,
            {
                collection: Children(definitions.tables[child.table], child.parent)
                for collection, child in document.collections.items()
            },
        )
        for name, document in definitions.documents.items()
    )


def tables(definitions: ModelDefinitions) -> tuple[ComparisonSet, ...]:
    """Return the comparison sets of a row model."""
    return tuple(ComparisonSet(name, table, ModelKind.ROW) for name, table in definitions.tables.items())
