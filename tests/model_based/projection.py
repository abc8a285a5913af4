"""Projection of records to changes of a read model: of rows, or of document parts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import NamedTuple

from sinks.ordering.register import Change
from tests.model_based.connector import Record
from tests.model_based.database import Image, Row
from tests.model_based.source import ORDERS


class Name(NamedTuple):
    """The name of a register: a row or, if an order is given, a row as a part of that order's document."""

    row: Row
    order: int | None = None

    @property
    def root(self) -> Name:
        """The root part of the same document; a row is its own root."""
        return self if self.order is None else Name(Row("orders", self.order), self.order)


class Sided(NamedTuple):
    """A change, its name, and the side of the register that it belongs to."""

    name: Name
    is_snapshot: bool
    change: Change
    committed_at: datetime


Visible = dict[Name, Image]
"""The content that readers see."""


class Projection(NamedTuple):
    """One form of read model: the changes that records make, and the expected content for a source."""

    changes: Callable[[Iterable[Record]], Iterable[Sided]]
    of: Callable[[Mapping[Row, Image]], Visible]


def row_changes(records: Iterable[Record]) -> Iterator[Sided]:
    """Yield one change per record."""
    for record in records:
        yield sided(Name(record.row), record, record.after)


def part_changes(records: Iterable[Record]) -> Iterator[Sided]:
    """Yield one change per record and document: a moved item is deleted in one, and has an image in the other."""
    for record in records:
        for order in _orders(record):
            owns = record.after is not None and order_of(record.row, record.after) == order
            yield sided(Name(record.row, order), record, record.after if owns else None)


def sided(name: Name, record: Record, image: Image | None) -> Sided:
    """Return a record as one change; before a stream's first commit its own LSN replaces the last commit LSN."""
    commit_lsn = record.lsn if record.last_commit is None else record.last_commit
    place = (record.epoch, commit_lsn, record.lsn, record.tie, record.offset, record.partition)
    return Sided(name, record.is_snapshot, Change(*place, image is None, image), record.committed_at)


def _rows_of(source: Mapping[Row, Image]) -> Visible:
    return {Name(row): image for row, image in source.items()}


def _documents_of(source: Mapping[Row, Image]) -> Visible:
    owned = {Name(row, order_of(row, image)): image for row, image in source.items()}
    return {name: image for name, image in owned.items() if name.root in owned}


def _orders(record: Record) -> Iterable[int]:
    """Return the documents that a record affects; a repair affects all, because any may have a stale part."""
    if record.is_repair and record.row not in ORDERS:
        return [order.key for order in ORDERS]
    images = [image for image in (record.before, record.after) if image is not None]
    return dict.fromkeys(order_of(record.row, image) for image in images) or [record.row.key]


def order_of(row: Row, image: Image) -> int:
    """Return the document that a version of a row is a part of."""
    return row.key if image.parent is None else image.parent


ROWS = Projection(row_changes, _rows_of)
DOCUMENTS = Projection(part_changes, _documents_of)
