"""A store under test, seen from both of its sides: as a sink, and as its readers see it."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Any, Protocol

from sinks.shape import Shape
from sinks.sink import Store

Contents = dict[str, dict[str, Any]]
"""What readers see: per document or table, by key as text, a document (parsed) or a row (as PostgreSQL's text)."""


class Form(Enum):
    """What a store keeps: documents with their parts, or rows."""

    DOCUMENTS = "documents"
    ROWS = "rows"


class Subject(Protocol):
    """One store, empty at the start of every test."""

    form: Form

    def store(self, shapes: Sequence[Shape]) -> Store:
        """A store that holds nothing, for these shapes."""

    def read(self, shapes: Sequence[Shape]) -> Contents:
        """Everything that readers of the live generation see, through the store's own protocol."""

    def close(self) -> None:
        """Remove what the test wrote."""
