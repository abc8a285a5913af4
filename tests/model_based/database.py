"""A source database as seen in its WAL: interleaved transactions, row locks, commits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

FIRST_LSN = 1000
RECORD_BYTES = 10
"""The length of every WAL record: an LSN is the position at which a record begins."""


class Row(NamedTuple):
    """The identity of a row, the same for all its versions."""

    table: str
    key: int


class Image(NamedTuple):
    """One version of a row; `value` is unique in a history. `parent` is the order that an item belongs to."""

    value: int
    parent: int | None = None


class Write(NamedTuple):
    """An insert, update or delete, given by its images."""

    lsn: int
    row: Row
    before: Image | None
    after: Image | None


class Truncate(NamedTuple):
    """A deletion of all rows of a table."""

    lsn: int
    table: str


class WindowClosed(NamedTuple):
    """The signal that ends a chunk of an incremental snapshot, and the rows that the chunk read."""

    lsn: int
    rows: Mapping[Row, Image]


class Mark(NamedTuple):
    """A watermark in the WAL, and the value of one row that a second read after it found unchanged."""

    lsn: int
    row: Row
    image: Image | None


Event = Write | Truncate | WindowClosed | Mark


class Commit(NamedTuple):
    """A committed transaction with its WAL records in order, and the LSN at which its commit record ends."""

    events: tuple[Event, ...]
    end_lsn: int


@dataclass(eq=False)
class Transaction:
    """An open transaction. It has the locks of the rows that it wrote, and of the tables that it truncated."""

    writes: list[Write | Truncate] = field(default_factory=list)

    @property
    def rows(self) -> set[Row]:
        """The rows that the transaction wrote."""
        return {write.row for write in self.writes if isinstance(write, Write)}

    @property
    def truncated(self) -> set[str]:
        """The tables that the transaction truncated."""
        return {write.table for write in self.writes if isinstance(write, Truncate)}

    @property
    def tables(self) -> set[str]:
        """The tables that the transaction wrote or truncated."""
        return self.truncated | {row.table for row in self.rows}


class Database:
    """PostgreSQL, as far as a change log can observe it. The caller checks that a lock is free before it writes.

    `states` holds the rows after each commit, `versions` the successive versions of every row.
    """

    def __init__(self) -> None:
        self.lsn = FIRST_LSN
        self.rows: dict[Row, Image] = {}
        self.open: list[Transaction] = []
        self.commits: list[Commit] = []
        self.states: list[Mapping[Row, Image]] = []
        self.versions: dict[Row, list[Image | None]] = defaultdict(lambda: [None])
        self._values = 0

    def begin(self) -> Transaction:
        """Open a transaction."""
        self.open.append(Transaction())
        return self.open[-1]

    def image(self, row: Row, transaction: Transaction) -> Image | None:
        """Return a row as a transaction sees it."""
        for write in reversed(transaction.writes):
            if isinstance(write, Truncate):
                if write.table == row.table:
                    return None
            elif write.row == row:
                return write.after
        return self.rows.get(row)

    def is_free(self, row: Row, transaction: Transaction) -> bool:
        """Return whether no other transaction has locked the row or its table."""
        others = [other for other in self.open if other is not transaction]
        return not any(row in other.rows or row.table in other.truncated for other in others)

    def is_idle(self, table: str, transaction: Transaction) -> bool:
        """Return whether no other transaction has touched the table."""
        return not any(table in other.tables for other in self.open if other is not transaction)

    def new_image(self, parent: int | None) -> Image:
        """Return an image that differs from all earlier ones."""
        self._values += 1
        return Image(self._values, parent)

    def write(self, transaction: Transaction, row: Row, after: Image | None) -> None:
        """Insert, update or delete one row."""
        transaction.writes.append(Write(self._log(), row, self.image(row, transaction), after))

    def rename(self, transaction: Transaction, row: Row, name: Row) -> None:
        """Change a row's key: a delete and an insert with one LSN."""
        lsn, image = self._log(), self.image(row, transaction)
        transaction.writes += [Write(lsn, row, image, None), Write(lsn, name, None, image)]

    def truncate(self, transaction: Transaction, table: str) -> None:
        """Empty a table."""
        transaction.writes.append(Truncate(self._log(), table))

    def insert_before_delete(self, inserting: Transaction, deleting: Transaction, row: Row, image: Image) -> None:
        """Log an insert before the delete that makes it possible.

        A COPY logs many rows at once, and checks their keys afterwards. While it waits for another of its keys, the
        transaction that it waits for deletes this row, and commits.
        """
        early = self._log()
        self.write(deleting, row, None)
        self.commit(deleting)
        inserting.writes.append(Write(early, row, None, image))

    def commit(self, transaction: Transaction) -> None:
        """Make a transaction's changes visible; a transaction without changes writes nothing to the log."""
        self.open.remove(transaction)
        if not transaction.writes:
            return
        for write in transaction.writes:
            if isinstance(write, Truncate):
                for row in [row for row in self.rows if row.table == write.table]:
                    self._become(row, None)
            else:
                self._become(write.row, write.after)
        self._commit(*transaction.writes)

    def roll_back(self, transaction: Transaction) -> None:
        """Discard a transaction; its WAL records remain, but are never read."""
        self.open.remove(transaction)

    def signal(self) -> None:
        """Insert a row into the signal table, which is in the publication."""
        self._log()
        self._commit()

    def close_window(self, rows: Mapping[Row, Image]) -> None:
        """Insert the signal that ends a chunk."""
        self._commit(WindowClosed(self._log(), rows))

    def mark(self, row: Row) -> None:
        """Write a watermark, then read a row."""
        self._commit(Mark(self._log(), row, self.rows.get(row)))

    def restore(self, rows: Mapping[Row, Image]) -> None:
        """Restore a backup: an earlier state, lower LSNs."""
        self.lsn = FIRST_LSN
        self.open.clear()
        for row in sorted({*self.rows, *rows}):
            self._become(row, rows.get(row))

    def _become(self, row: Row, image: Image | None) -> None:
        self.versions[row].append(image)
        if image is None:
            self.rows.pop(row, None)
        else:
            self.rows[row] = image

    def _log(self) -> int:
        lsn = self.lsn
        self.lsn += RECORD_BYTES
        return lsn

    def _commit(self, *events: Event) -> None:
        self._log()
        self.commits.append(Commit(events, self.lsn))
        self.states.append(dict(self.rows))
