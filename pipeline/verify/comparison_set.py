"""What is compared as one: the documents of one name, or the rows of one table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import cached_property
from hashlib import sha256

from pipeline.definitions import ModelDefinitions, TableDefinition


class ModelKind(Enum):
    """How a read model shows a row: as JSON in a document, or as columns of DuckDB's types."""

    DOCUMENT = auto()
    ROW = auto()


@dataclass(frozen=True)
class Children:
    """The child rows that stand in one array of a document.

    Args:
        parent: the columns that hold the root's key.
    """

    table: TableDefinition
    parent: tuple[str, ...]


@dataclass(frozen=True)
class ComparisonSet:
    """One kind of thing that a read model shows by key.

    Args:
        name: of the document or the table.
        root: the source table whose rows make one each.
        collections: the child rows by the name of their array; a row has none.
    """

    name: str
    root: TableDefinition
    form: ModelKind
    collections: Mapping[str, Children] = field(default_factory=dict)

    @cached_property
    def label(self) -> str:
        """A text that no other subject has, be it of a document, a table, or the same in another contract."""
        return f"{self.form.name.lower()} {self.name} {sha256(repr(self).encode()).hexdigest()[:16]}"


def documents(definitions: ModelDefinitions) -> tuple[ComparisonSet, ...]:
    """What a document model shows."""
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
    """What a row model shows."""
    return tuple(ComparisonSet(name, table, ModelKind.ROW) for name, table in definitions.tables.items())
