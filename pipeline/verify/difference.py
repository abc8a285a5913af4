"""Differences between a read model and PostgreSQL, by key and column."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from pipeline.stores.read_model import ModelKind
from pipeline.table_view import TableView
from pipeline.verify.comparison_set import ComparisonSet
from pipeline.verify.json_value import Malformed, format_json, json_equal, number, parsed, shortened
from pipeline.verify.readers.row_key import label_of
from sinks.pg_type import parse_pg_type

_MOMENTS = ("timestamp", "timestamptz", "date")
_JSON = ("json", "jsonb", "hstore")
_ABSENT = object()

Fields = Mapping[str, Any]


class DifferenceKind(StrEnum):
    """Kind of a difference.

    Attributes:
        MISSING: PostgreSQL holds the row or value, and readers do not find it.
        PHANTOM: readers find the row or value, and PostgreSQL lacks it.
        STALE: readers see an older version of the row, according to one of its dates or timestamps.
        DIFFERENT: readers see another value.
        REJECTED: readers do not find the document because the store rejected it; the reason is the store's.
        UNDECIDED: the row was written during every recheck and was never seen equal.
    """

    MISSING = "missing"
    PHANTOM = "phantom"
    STALE = "stale"
    DIFFERENT = "different"
    REJECTED = "rejected"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class Difference:
    """Difference in one document, row or column.

    Args:
        subject: the document or table.
        key: of the document or row.
        part: the child row in a document, such as `items/7`; None for the root row and for a table's row.
        column: None if the whole row differs.
        expected: PostgreSQL's value as JSON text, shortened; None if there is none.
        shown: the read model's value as JSON text, shortened; None if there is none.
        reason: the store's reason for a rejected document; None otherwise.
    """

    kind: DifferenceKind
    subject: str
    key: str
    part: str | None = None
    column: str | None = None
    expected: str | None = None
    shown: str | None = None
    reason: str | None = None


def differences(subject: ComparisonSet, key: str, expected: str | None, shown: str | None) -> list[Difference]:
    """Compare one document or row value by value. None means that a side has none."""
    whole = Difference(DifferenceKind.DIFFERENT, subject.name, key)
    if expected == shown:
        return []
    if expected is None:
        return [replace(whole, kind=DifferenceKind.PHANTOM)]
    if shown is None:
        return [replace(whole, kind=DifferenceKind.MISSING)]
    try:
        held, seen = parsed(expected), parsed(shown)
    except Malformed:
        return [replace(whole, expected=shortened(expected), shown=shortened(shown))]
    if not isinstance(seen, dict):
        return [replace(whole, expected=shortened(expected), shown=shortened(shown))]
    found = [*_of_row(whole, held, seen, subject.root, subject)]
    for collection, children in subject.collections.items():
        found += _of_collection(whole, collection, children, held[collection], seen.get(collection, _ABSENT))
    return found


def _of_row(
    place: Difference, held: Fields, seen: Fields, view: TableView, subject: ComparisonSet | None
) -> list[Difference]:
    types = view.columns
    columns = {**dict.fromkeys(types), **dict.fromkeys(seen)}
    if subject is not None:
        columns = {name: None for name in columns if name not in subject.collections}
    is_row = subject is not None and subject.form is ModelKind.ROW
    wrong = [
        name
        for name in columns
        if not _is_same(held.get(name, _ABSENT), seen.get(name, _ABSENT), types.get(name, ""), is_row=is_row)
    ]
    different = DifferenceKind.STALE if _is_older(held, seen, types, wrong) else DifferenceKind.DIFFERENT
    return [
        replace(
            place,
            kind=_kind(name in held, name in seen, different),
            column=name,
            expected=format_json(held[name]) if name in held else None,
            shown=format_json(seen[name]) if name in seen else None,
        )
        for name in wrong
    ]


def _kind(is_held: bool, is_seen: bool, otherwise: DifferenceKind) -> DifferenceKind:
    if is_held and is_seen:
        return otherwise
    return DifferenceKind.MISSING if is_held else DifferenceKind.PHANTOM


def _is_same(held: Any, seen: Any, text: str, *, is_row: bool) -> bool:
    if held is _ABSENT or seen is _ABSENT:
        return False
    if json_equal(held, seen):
        return True
    if parse_pg_type(text).name == "numeric":
        return json_equal(_as_numbers(held), _as_numbers(seen))
    if parse_pg_type(text).name not in _JSON:
        return False
    # JSON is a string in tables. It is also a string in Elasticsearch if Elasticsearch's parser would reject it.
    try:
        return isinstance(seen, str) and json_equal(parsed(held) if is_row else held, parsed(seen))
    except (Malformed, TypeError):
        return False


def _as_numbers(value: Any) -> Any:
    """Replace a numeric's text by its number in a tuple, so that it differs from a JSON number. NaN stays a text."""
    if isinstance(value, list):
        return [_as_numbers(item) for item in value]
    if not isinstance(value, str):
        return value
    try:
        return (number(value),)
    except Malformed:
        return value


def _is_older(held: Fields, seen: Fields, types: Mapping[str, str], wrong: list[str]) -> bool:
    """Return whether a date or timestamp of the row is earlier than in PostgreSQL, and none is later."""
    moments = [name for name in wrong if parse_pg_type(types.get(name, "")).name in _MOMENTS]
    texts: list[tuple[Any, Any]] = [(held.get(name), seen.get(name)) for name in moments]
    return bool(texts) and all(_is_plain(one) and _is_plain(other) and other < one for one, other in texts)


def _is_plain(moment: Any) -> bool:
    """Return whether the text is ISO 8601 with a four-digit year, so that texts sort by time."""
    return isinstance(moment, str) and moment[:4].isdigit()


def _of_collection(
    place: Difference, collection: str, children: TableView, held: list[Fields], seen: Any
) -> Iterator[Difference]:
    if not isinstance(seen, list) or not all(isinstance(item, dict) for item in seen):
        yield replace(place, column=collection, shown=None if seen is _ABSENT else format_json(seen))
        return
    key = children.shown_key
    rest = {label_of(item, key): item for item in held}
    found: set[str | None] = set()
    for item in seen:
        name = label_of(item, key)
        part = replace(place, part=f"{collection}/{name}")
        if name in found or name not in rest:
            yield replace(part, kind=DifferenceKind.PHANTOM)
        else:
            yield from _of_row(part, rest[name], item, children, None)
        found.add(name)
    for name in rest.keys() - found:
        yield replace(place, kind=DifferenceKind.MISSING, part=f"{collection}/{name}")
