"""Interface to a store under test, from both of its sides: the sink and the readers."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Any, Protocol

from sinks.shape import Shape
from sinks.sink import Store

Contents = dict[str, dict[str, Any]]
"""Content visible to readers: by document model or table, then by key as text.

A value is a parsed document, or a row as PostgreSQL's text.
"""


class Form(Enum):
    """Kind of content of a store: documents with their parts, or rows."""

    DOCUMENTS = "documents"
    ROWS = "rows"


class Subject(Protocol):
    """One store, empty at the start of every test."""

    form: Form

    def store(self, shapes: Sequence[Shape]) -> Store:
        """Return an empty store for these shapes."""

    def read(self, shapes: Sequence[Shape]) -> Contents:
        """Return everything that readers of the live generation see, through the store's own protocol."""

    def close(self) -> None:
        """Remove what the test wrote."""
