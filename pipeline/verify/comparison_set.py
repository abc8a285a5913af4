"""Comparison set: the documents of one name, or the rows of one table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256

from pipeline.definitions import ModelDefinitions
from pipeline.stores.read_model import ModelKind
from pipeline.table_view import TableView, whole_table
from sinks.shape import ROOT


@dataclass(frozen=True)
class ComparisonSet:
    """Documents of one name, or rows of one table.

    Args:
        name: of the document or the table.
        root: the view whose rows make one document or row each.
        collections: views of child rows by the name of their array; empty for rows of a table.
    """

    name: str
    root: TableView
    form: ModelKind
    collections: Mapping[str, TableView] = field(default_factory=dict)

    @property
    def views(self) -> dict[str, TableView]:
        """Views of the root, under `sinks.shape.ROOT`, and of the collections."""
        return {ROOT: self.root, **self.collections}

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
            views[ROOT],
            ModelKind.DOCUMENT,
            {collection: view for collection, view in views.items() if collection != ROOT},
        )
        for name, views in definitions.views.items()
    )


def tables(definitions: ModelDefinitions) -> tuple[ComparisonSet, ...]:
    """Return the comparison sets of a row model."""
    return tuple(
        ComparisonSet(name, whole_table(name, table), ModelKind.ROW) for name, table in definitions.tables.items()
    )
