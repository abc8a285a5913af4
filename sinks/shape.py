"""Shapes of a read model, as data: tables and documents. Nothing here knows the tables of a particular application."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

ROOT = ""
"""Part of a document that is its root row. Parts of a collection are `collection/key`, in order of key."""


@dataclass(frozen=True)
class RowShape:
    """Table of a row model.

    Args:
        table: its name.
        key: the columns of its primary key.
        columns: name and PostgreSQL type of every column, such as `{"id": "bigint", "total": "numeric(12,2)"}`.
    """

    table: str
    key: tuple[str, ...]
    columns: Mapping[str, str]

    @property
    def target(self) -> str:
        """The target name of this shape's mutations."""
        return self.table

    @property
    def register_key(self) -> tuple[str, ...]:
        """The columns that identify the register of a change."""
        return self.key


@dataclass(frozen=True)
class DocumentShape:
    """Document type: the columns of a root row as fields, and child rows in collections.

    Args:
        name: the document's name; a sink names its index or keys after it.
        columns: name and PostgreSQL type of every column of the root.
        collections: per collection, the columns of its rows in the same form.
        index: settings and mappings of its index that replace the generated ones; empty for none.
        key_prefix: the prefix of its keys in a key-value store; empty for the document's name and a colon.
    """

    name: str
    columns: Mapping[str, str]
    collections: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    index: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    key_prefix: str = ""

    @property
    def target(self) -> str:
        """The target name of this shape's mutations."""
        return self.name

    @property
    def register_key(self) -> tuple[str, ...]:
        """The columns that identify the register of a change."""
        return ("key", "part")

    @property
    def prefix(self) -> str:
        """The prefix of the document's keys in a key-value store."""
        return self.key_prefix or f"{self.name}:"


Shape = RowShape | DocumentShape


def parse_shape(plain: Mapping[str, Any]) -> Shape:
    """Build a shape from its fields, in the form of `dataclasses.asdict` or of its JSON."""
    return RowShape(**{**plain, "key": tuple(plain["key"])}) if "table" in plain else DocumentShape(**plain)


def collection_of(part: str) -> str:
    """Return the collection of a part; the root's collection is ROOT."""
    return part.partition("/")[0]


def tombstone_scope(document: str, collection: str) -> str:
    """Return the scope name of range tombstones for one collection of a document."""
    return f"{document}/{collection}"
