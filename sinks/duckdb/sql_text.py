"""Names of tables and columns in SQL: they are data, and may hold anything."""

from __future__ import annotations

from collections.abc import Iterable


def quote_identifier(name: str) -> str:
    """An identifier."""
    return '"' + name.replace('"', '""') + '"'


def identifier_list(names: Iterable[str]) -> str:
    """Identifiers, separated by commas."""
    return ", ".join(map(quote_identifier, names))


def quote_literal(text: str) -> str:
    """A text as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"
