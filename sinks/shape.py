"""What a read model is made of, as data: the engine knows rows and parts, never orders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

ROOT = ""
"""The part of a document that is its root row; the parts of a collection are `collection/key`, in order of key."""


@dataclass(frozen=True)
class RowShape:
    """A table of a row model.

    Args:
        table: its name.
        key: the columns of its primary key.
        columns: name and PostgreSQL type of every column, as `{"id": "bigint", "total": "numeric(12,2)"}`.
    """

    table: str
    key: tuple[str, ...]
    columns: Mapping[str, str]

    @property
    def target(self) -> str:
        """What mutations of this shape are addressed to."""
        return self.table

    @property
    def register_key(self) -> tuple[str, ...]:
        """The columns of its mutations that say which register a change belongs to."""
        return self.key


@dataclass(frozen=True)
class DocumentShape:
    """A document: a root row's columns as fields, and child rows in collections.

    Args:
        name: the document's name; a sink names its index or keys after it.
        columns: name and PostgreSQL type of every column of the root.
        collections: per collection, the same of its rows.
    """

    name: str
    columns: Mapping[str, str]
    collections: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def target(self) -> str:
        """What mutations of this shape are addressed to."""
        return self.name

    @property
    def register_key(self) -> tuple[str, ...]:
        """The columns of its mutations that say which register a change belongs to."""
        return ("key", "part")


Shape = RowShape | DocumentShape


def parse_shape(plain: Mapping[str, Any]) -> Shape:
    """A shape out of its fields, as `dataclasses.asdict` gives them and JSON keeps them."""
    return RowShape(**{**plain, "key": tuple(plain["key"])}) if "table" in plain else DocumentShape(**plain)


def collection_of(part: str) -> str:
    """The collection that a part belongs to; the root's is ROOT."""
    return part.partition("/")[0]


def tombstone_scope(document: str, collection: str) -> str:
    """The name under which fences of one collection of a document are kept."""
    return f"{document}/{collection}"
