"""The source's history, step by step: transactions, and the life cycle of the connector that captures them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from tests.model_based.database import Database, Image, Row, Transaction, Truncate, Write
from tests.model_based.seeded_choices import Choices

ORDERS = (Row("orders", 1), Row("orders", 2))
ITEMS = (Row("items", 1), Row("items", 2), Row("items", 3))
ROWS = ORDERS + ITEMS
TABLES = ("orders", "items")

PARTITIONS = 2
"""The initial number of partitions of every topic."""

STEP_BYTES = 4
"""Bytes that one step reads, so that a step that shrinks to nothing leaves the others unchanged."""


@dataclass(frozen=True)
class Snapshot:
    """The rows that a snapshot read, its LSN, and the first commit after it.

    Args:
        is_whole: whether the snapshot saw every row; rows of a table that is being truncated are hidden.
    """

    lsn: int
    rows: Mapping[Row, Image]
    first_commit: int
    is_whole: bool


@dataclass
class Stream:
    """The output of one replication slot: snapshots, only the last of which finished, then commits until it was lost.

    Args:
        moves: by commit, the number of partitions of the new topics that the log continues in before that commit.
    """

    epoch: int
    snapshots: list[Snapshot] = field(default_factory=list)
    moves: dict[int, int] = field(default_factory=dict)
    end_commit: int | None = None


class Capture(Enum):
    """The connector's state with its slot."""

    NO_SLOT = "no slot"
    SLOT = "slot created"
    SNAPSHOT = "snapshot taken"
    STREAMING = "streaming"


class Source:
    """A database, and the connector that captures it. Every public method is a step that may be impossible."""

    def __init__(self) -> None:
        self.database = Database()
        self.streams = [Stream(epoch=0)]
        self._capture = Capture.NO_SLOT
        self._partitions = PARTITIONS
        self._backup: Mapping[Row, Image] = {}
        self._window: tuple[int, Mapping[Row, Image]] | None = None

    def run(self, program: bytes) -> None:
        """Run the steps of a program, then let the connector capture the source to its end."""
        self.take(program)
        self.settle()

    def take(self, program: bytes) -> None:
        """Run the steps of a program."""
        for begin in range(0, len(program), STEP_BYTES):
            choices = Choices(program[begin : begin + STEP_BYTES])
            choices.of(STEPS)(self, choices)

    @property
    def is_streaming(self) -> bool:
        """True if the connector has finished its snapshot."""
        return self._capture is Capture.STREAMING

    def settle(self) -> None:
        """Let the connector reach streaming without a fault."""
        while not self.is_streaming:
            self.capture_on(Choices(b""))

    def rest(self, choices: Choices) -> None:
        """Do nothing."""

    def write(self, choices: Choices) -> None:
        """Insert, update or delete a row; an item may move to another order."""
        transaction, row = self._transaction(choices), choices.of(ROWS)
        if not self.database.is_free(row, transaction):
            return
        known = self.database.image(row, transaction)
        wish = choices.below(6)
        parent = None if row in ORDERS else ORDERS[wish % 2].key
        deletes = known is not None and wish >= 4
        self.database.write(transaction, row, None if deletes else self.database.new_image(parent))

    def rename(self, choices: Choices) -> None:
        """Change a row's key."""
        transaction, row = self._transaction(choices), choices.of(ROWS)
        name = choices.of(ORDERS if row in ORDERS else ITEMS)
        is_alive = self.database.image(row, transaction) is not None
        is_taken = self.database.image(name, transaction) is not None
        are_free = all(self.database.is_free(each, transaction) for each in (row, name))
        if is_alive and not is_taken and are_free:
            self.database.rename(transaction, row, name)

    def truncate(self, choices: Choices) -> None:
        """Empty a table."""
        transaction, table = self._transaction(choices), choices.of(TABLES)
        if self.database.is_idle(table, transaction):
            self.database.truncate(transaction, table)

    def insert_before_delete(self, choices: Choices) -> None:
        """Log an insert in one transaction before another logs the delete that makes it possible."""
        inserting, row = self._transaction(choices), choices.of(ROWS)
        waited_for = [other for other in self.database.open if other is not inserting and other.writes]
        if not waited_for:
            return
        deleting = choices.of(waited_for)
        is_alive = self.database.image(row, deleting) is not None
        if is_alive and self.database.is_free(row, deleting) and row.table not in deleting.truncated:
            parent = None if row in ORDERS else ORDERS[0].key
            self.database.insert_before_delete(inserting, deleting, row, self.database.new_image(parent))

    def commit(self, choices: Choices) -> None:
        """Commit one transaction."""
        if self.database.open:
            self.database.commit(choices.of(self.database.open))

    def roll_back(self, choices: Choices) -> None:
        """Roll one transaction back."""
        if self.database.open:
            self.database.roll_back(choices.of(self.database.open))

    def read_incrementally(self, choices: Choices) -> None:
        """Open a chunk of an incremental snapshot, or close the open one.

        Changes between the two signals are left out of the chunk. Debezium finds them by key; a truncate has no key and
        would leave phantom rows in the log, so no truncate is allowed to matter here.
        """
        if not self.is_streaming:
            return
        if self._window is None:
            self.database.signal()
            first_commit = len(self.database.commits)
            table = choices.of(TABLES)
            self._wait_for_truncates()
            rows = self.database.rows
            self._window = first_commit, {row: rows[row] for row in rows if row.table == table}
            return
        first_commit, read = self._window
        writes = [write for commit in self.database.commits[first_commit:] for write in commit.events]
        changed = {write.row for write in writes if isinstance(write, Write)}
        emptied = {write.table for write in writes if isinstance(write, Truncate)}
        self.database.close_window({row: read[row] for row in read if row not in changed and row.table not in emptied})
        self._window = None

    def repair(self, choices: Choices) -> None:
        """Read one row twice, with a watermark between, and find it unchanged."""
        if self.is_streaming:
            self.look_at(choices.of(ROWS))

    def look_at(self, row: Row) -> None:
        """Write a watermark, and find the row unchanged after it."""
        self._wait_for_truncates()
        self.database.mark(row)

    def capture_on(self, choices: Choices) -> None:
        """Advance the connector by one state: create the slot, take a snapshot, stream, lose everything."""
        match self._capture:
            case Capture.NO_SLOT:
                # A new slot waits for the open transactions, and streams completely those that begin from now on.
                self._finish(self.database.open)
                self._backup = dict(self.database.rows)
                self._capture = Capture.SLOT
            case Capture.SLOT:
                self._take_snapshot()
                self._capture = Capture.SNAPSHOT
            case Capture.SNAPSHOT if choices.below(3):
                self._take_snapshot()
            case Capture.SNAPSHOT:
                self._capture = Capture.STREAMING
            case Capture.STREAMING:
                choices.of((self._move_the_log, self._lose_the_slot, self._open_an_epoch, self._restore_a_backup))()

    def _transaction(self, choices: Choices) -> Transaction:
        """Return one of up to three concurrent transactions."""
        index = choices.below(3)
        return self.database.open[index] if index < len(self.database.open) else self.database.begin()

    def _take_snapshot(self) -> None:
        # A truncate hides the rows even from readers whose snapshot began before it was committed.
        hidden = {table for transaction in self.database.open for table in transaction.truncated}
        rows = {row: image for row, image in self.database.rows.items() if row.table not in hidden}
        is_whole = rows == self.database.rows
        self.streams[-1].snapshots.append(Snapshot(self.database.lsn, rows, len(self.database.commits), is_whole))
        self._wait_for_truncates()

    def _wait_for_truncates(self) -> None:
        self._finish([transaction for transaction in self.database.open if transaction.truncated])

    def _finish(self, transactions: Iterable[Transaction]) -> None:
        for transaction in list(transactions):
            self.database.commit(transaction)

    def _move_the_log(self) -> None:
        # A second snapshot's sweep knows its start offset by partition: it would misjudge a row that changes its
        # partition.
        if len(self._epoch()) == 1:
            self._partitions += 1
        self.streams[-1].moves[len(self.database.commits)] = self._partitions

    def _lose_the_slot(self) -> None:
        if self._partitions == PARTITIONS:
            self._next_stream(self.streams[-1].epoch)
        else:
            self._open_an_epoch()

    def _open_an_epoch(self) -> None:
        self._next_stream(self.streams[-1].epoch + 1)

    def _epoch(self) -> list[Stream]:
        return [stream for stream in self.streams if stream.epoch == self.streams[-1].epoch]

    def _restore_a_backup(self) -> None:
        self._open_an_epoch()
        self.database.restore(self._backup)

    def _next_stream(self, epoch: int) -> None:
        self.streams[-1].end_commit = len(self.database.commits)
        self.streams.append(Stream(epoch))
        self._capture, self._window = Capture.NO_SLOT, None


STEPS: tuple[Callable[[Source, Choices], None], ...] = (
    Source.rest,
    *[Source.write] * 9,
    *[Source.commit] * 5,
    *[Source.capture_on] * 4,
    *[Source.insert_before_delete] * 2,
    *[Source.read_incrementally] * 2,
    Source.rename,
    Source.truncate,
    Source.repair,
    Source.roll_back,
)
