"""What happens at the source, step by step: transactions, and the life of the connector that captures them."""

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
"""How many partitions every topic has at first."""

STEP_BYTES = 4
"""What one step reads, so that a step that shrinks to nothing leaves the others as they are."""


@dataclass(frozen=True)
class Snapshot:
    """What a snapshot read, the LSN it stands for, and the first commit that comes after it.

    Args:
        is_whole: whether it saw every row; those of a table that is being truncated are hidden.
    """

    lsn: int
    rows: Mapping[Row, Image]
    first_commit: int
    is_whole: bool


@dataclass
class Stream:
    """What one replication slot gave: snapshots, of which only the last was finished, then commits until it was lost.

    Args:
        moves: before which commits the log went on in new topics, and how many partitions these have.
    """

    epoch: int
    snapshots: list[Snapshot] = field(default_factory=list)
    moves: dict[int, int] = field(default_factory=dict)
    end_commit: int | None = None


class Capture(Enum):
    """How far the connector has got with its slot."""

    NO_SLOT = "no slot"
    SLOT = "slot created"
    SNAPSHOT = "snapshot taken"
    STREAMING = "streaming"


class Source:
    """A database, and the connector that watches it. Every public method is a step that may turn out impossible."""

    def __init__(self) -> None:
        self.database = Database()
        self.streams = [Stream(epoch=0)]
        self._capture = Capture.NO_SLOT
        self._partitions = PARTITIONS
        self._backup: Mapping[Row, Image] = {}
        self._window: tuple[int, Mapping[Row, Image]] | None = None

    def run(self, program: bytes) -> None:
        """Take the steps that a program names, then see to it that the source is captured to its end."""
        self.take(program)
        self.settle()

    def take(self, program: bytes) -> None:
        """Take the steps that a program names."""
        for begin in range(0, len(program), STEP_BYTES):
            choices = Choices(program[begin : begin + STEP_BYTES])
            choices.of(STEPS)(self, choices)

    @property
    def is_streaming(self) -> bool:
        """Whether the connector has finished its snapshot."""
        return self._capture is Capture.STREAMING

    def settle(self) -> None:
        """Let the connector come to stream, without a fault."""
        while not self.is_streaming:
            self.capture_on(Choices(b""))

    def rest(self, choices: Choices) -> None:
        """Nothing happens."""

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
        """One transaction logs an insert before another logs the delete that lets it through."""
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
        """Open a chunk of an incremental snapshot, or close the one that is open.

        What changed between the two signals is left out of the chunk. Debezium knows that by key; a truncate has none,
        and would leave phantoms in the log, so no truncate is allowed to matter here.
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
        """Look at one row twice, with a mark between, and find it unchanged."""
        if self.is_streaming:
            self.look_at(choices.of(ROWS))

    def look_at(self, row: Row) -> None:
        """Set a mark, past which the row is found as it was before."""
        self._wait_for_truncates()
        self.database.mark(row)

    def capture_on(self, choices: Choices) -> None:
        """The connector does what comes next: create the slot, take a snapshot, stream, lose it all."""
        match self._capture:
            case Capture.NO_SLOT:
                # A new slot waits for the transactions that are open, and streams whole those that begin from here on.
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
        """One of up to three transactions at a time."""
        index = choices.below(3)
        return self.database.open[index] if index < len(self.database.open) else self.database.begin()

    def _take_snapshot(self) -> None:
        # A truncate hides the rows even from those who began to look before it was committed.
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
        # A second snapshot's sweep knows where it began by partition: it would misjudge a row that changes its own.
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
