"""Lists of captured tables and columns as the connector reads them, and the topic of a table.

Debezium matches every entry of `table.include.list`, `column.exclude.list` and of a snapshot signal as a regular
expression against the whole name, and ignores case unless the expression says otherwise.

Source: https://debezium.io/documentation/reference/3.6/connectors/postgresql.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_CASE_SENSITIVE = re.compile(r"\(\?-i:(.*)\)", re.DOTALL)
_TO_ESCAPE = re.compile(r"[^\w ]", re.ASCII)
_BETWEEN_ENTRIES = re.compile(r"(?<!\\),")
_ESCAPED = re.compile(r"\\(.)")
_AVRO_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_NOT_IN_TOPICS = re.compile(r"[^a-zA-Z0-9._-]")


def name_pattern(name: str) -> str:
    """Return the regular expression that matches this name and no other."""
    return f"(?-i:{_TO_ESCAPE.sub(lambda found: _escape(found[0]), name)})"


def format_name_list(names: Iterable[str]) -> str:
    """Convert names, such as `schema.table`, to a list that matches exactly them."""
    return ",".join(map(name_pattern, names))


def parse_name_list(text: str) -> tuple[str, ...]:
    """Parse a list that `format_name_list` wrote, or one of plain names."""
    names = []
    for entry in split_list(text):
        found = _CASE_SENSITIVE.fullmatch(entry)
        names.append(_ESCAPED.sub(r"\1", found[1] if found else entry))
    return tuple(names)


def split_list(text: str) -> list[str]:
    """Split a list of regular expressions at its commas, except escaped ones."""
    return [entry.strip() for entry in _BETWEEN_ENTRIES.split(text)]


def is_avro_name(name: str) -> bool:
    """Return whether an Avro schema can contain the name of a column."""
    return _AVRO_NAME.fullmatch(name) is not None


def topic_of(prefix: str, table: str) -> str:
    """Return the topic of a table's changes. Debezium replaces what Kafka does not allow in a name by `_`."""
    return _NOT_IN_TOPICS.sub("_", f"{prefix}.{table}")


def _escape(character: str) -> str:
    return f"\\{character}" if character.isascii() else character
