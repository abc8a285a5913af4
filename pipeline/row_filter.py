"""Filter of a table's rows: conditions on its columns, all of which a row must meet.

The text is parsed once, against the columns' types. The projection evaluates the conditions in Arrow, and `verify` in
SQL, with the same meaning: a comparison with NULL is not met.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

from sinks.pg_type import parse_pg_type

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<name>[^\W\d][\w$]*)
        | "(?P<quoted>(?:[^"]|"")+)"
        | '(?P<text>(?:[^']|'')*)'
        | (?P<number>-?\d+(?:\.\d+)?)
        | (?P<symbol><>|!=|<=|>=|[=<>(),]))\s*""",
    re.VERBOSE,
)
_COMPARISONS = frozenset({"=", "<>", "<", "<=", ">", ">="})
_INTEGER_RANGE = range(-(2**63), 2**63)
_DATE = r"(?!0000)\d{4}-\d\d-\d\d"
_TIMESTAMP = rf"{_DATE}[T ]\d\d:\d\d:\d\d(?:\.\d{{1,6}})?"


class ValueKind(Enum):
    """Meaning of a column's values in a comparison."""

    INTEGER = auto()
    NUMERIC = auto()
    BOOLEAN = auto()
    TEXT = auto()
    DATE = auto()
    TIMESTAMP = auto()
    TIMESTAMPTZ = auto()


_KINDS: Mapping[str, ValueKind | None] = {
    **dict.fromkeys(("smallint", "integer", "bigint"), ValueKind.INTEGER),
    "numeric": ValueKind.NUMERIC,
    "boolean": ValueKind.BOOLEAN,
    "date": ValueKind.DATE,
    "timestamp": ValueKind.TIMESTAMP,
    "timestamptz": ValueKind.TIMESTAMPTZ,
    **dict.fromkeys(
        ("real", "double precision", "money", "json", "jsonb", "hstore", "xml", "bytea", "bit", "bit varying"), None
    ),
    **dict.fromkeys(("interval", "time", "timetz", "citext", "inet", "cidr", "macaddr", "macaddr8", "oid"), None),
}
"""Kind of each type; None if its values cannot be compared. Any other type compares as its text."""

_FORMS: Mapping[ValueKind, tuple[str, re.Pattern[str]]] = {
    ValueKind.DATE: ("a date such as '2026-01-31'", re.compile(_DATE, re.ASCII)),
    ValueKind.TIMESTAMP: ("a time without a zone such as '2026-01-31T12:00:00'", re.compile(_TIMESTAMP, re.ASCII)),
    ValueKind.TIMESTAMPTZ: (
        "a time with its zone such as '2026-01-31T12:00:00Z'",
        re.compile(rf"{_TIMESTAMP}(?:Z|[+-]\d\d:\d\d)", re.ASCII),
    ),
}


class InvalidFilter(ValueError):
    """A filter cannot be parsed, or does not fit the table. The message names the position in its text."""


@dataclass(frozen=True)
class Condition:
    """Condition on one column.

    Args:
        kind: None for a test for NULL.
        operator: a comparison, `in`, `is null` or `is not null`.
        values: the texts of the values that it compares with.
    """

    column: str
    kind: ValueKind | None
    operator: str
    values: tuple[str, ...] = ()


def parse_filter(text: str, columns: Mapping[str, str]) -> tuple[Condition, ...]:
    """Parse conditions joined by `and`; an empty text has none.

    Args:
        columns: the PostgreSQL type of every column.

    Raises:
        InvalidFilter: the text is not a filter of these columns.
    """
    return _Parser(text, columns).conditions() if text.strip() else ()


class _Parser:
    def __init__(self, text: str, columns: Mapping[str, str]) -> None:
        self._text = text
        self._columns = columns
        self._at = 0

    def conditions(self) -> tuple[Condition, ...]:
        found = [self._condition()]
        while self._at < len(self._text):
            self._word("and")
            found.append(self._condition())
        return tuple(found)

    def _condition(self) -> Condition:
        start = self._at
        group, column = self._take("a column")
        if group not in ("name", "quoted") or column not in self._columns:
            raise self._wrong("a column of the table", start)
        operator = self._operator()
        if operator.startswith("is"):
            if parse_pg_type(self._columns[column]).is_array:
                raise self._wrong(f"another column: {column} is an array", start)
            return Condition(column, None, operator)
        kind = self._kind(column, operator, start)
        if operator != "in":
            return Condition(column, kind, operator, (self._value(kind),))
        self._symbol("(")
        values = [self._value(kind)]
        while self._symbol(",", ")") == ",":
            values.append(self._value(kind))
        return Condition(column, kind, operator, tuple(values))

    def _operator(self) -> str:
        start = self._at
        group, word = self._take("an operator")
        operator = {"!=": "<>"}.get(word, word.lower())
        if (group == "symbol" and operator in _COMPARISONS) or (group == "name" and operator == "in"):
            return operator
        if group == "name" and operator == "is":
            if self._word("null", "not") == "null":
                return "is null"
            self._word("null")
            return "is not null"
        raise self._wrong("=, <>, <, <=, >, >=, in, is null or is not null", start)

    def _kind(self, column: str, operator: str, start: int) -> ValueKind:
        kind = parse_pg_type(self._columns[column])
        found = None if kind.is_array else _KINDS.get(kind.name, ValueKind.TEXT)
        if found is None:
            raise self._wrong(f"another column: values of type {self._columns[column]} cannot be compared", start)
        if operator not in ("=", "<>", "in") and found in (ValueKind.TEXT, ValueKind.BOOLEAN):
            raise self._wrong(f"=, <> or in: {column} has an order that depends on the database", start)
        return found

    def _value(self, kind: ValueKind) -> str:
        start = self._at
        group, token = self._take("a value")
        if kind is ValueKind.BOOLEAN:
            if group == "name" and token.lower() in ("true", "false"):
                return token.lower()
            raise self._wrong("true or false", start)
        if kind in (ValueKind.INTEGER, ValueKind.NUMERIC):
            is_integer = group == "number" and "." not in token and int(token) in _INTEGER_RANGE
            if is_integer or (group == "number" and kind is ValueKind.NUMERIC):
                return token
            raise self._wrong("a number" if kind is ValueKind.NUMERIC else "an integer of 64 bits", start)
        form, pattern = _FORMS.get(kind, ("a text such as 'new'", None))
        if group != "text" or (pattern is not None and not pattern.fullmatch(token)):
            raise self._wrong(form, start)
        return token

    def _word(self, *words: str) -> str:
        start = self._at
        group, token = self._take(" or ".join(words))
        if group != "name" or token.lower() not in words:
            raise self._wrong(" or ".join(words), start)
        return token.lower()

    def _symbol(self, *symbols: str) -> str:
        start = self._at
        group, token = self._take(" or ".join(symbols))
        if group != "symbol" or token not in symbols:
            raise self._wrong(" or ".join(symbols), start)
        return token

    def _take(self, expected: str) -> tuple[str, str]:
        """Return the next token and its group."""
        matched = _TOKEN.match(self._text, self._at)
        if matched is None or matched.lastgroup is None:
            raise self._wrong(expected, self._at)
        self._at = matched.end()
        token = matched[matched.lastgroup]
        quote = {"quoted": '"', "text": "'"}.get(matched.lastgroup)
        return matched.lastgroup, token.replace(quote * 2, quote) if quote else token

    def _wrong(self, expected: str, start: int) -> InvalidFilter:
        rest = self._text[start:].strip()
        found = f"`{rest[:30]}`" if rest else "the end"
        return InvalidFilter(f"`where` at character {start + 1}: expected {expected}, found {found}")
