"""A connector at work: it emits what its source gives, a little at a time, and faults come between."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import NamedTuple

from sinks.batch import TopicPartition
from sinks.ordering.range_tombstone import RangeTombstone
from tests.model_based.connector import Log, Move, Record, changes_of_commit, snapshot_rows, sweeps
from tests.model_based.seeded_choices import Choices
from tests.model_based.source import TABLES, Source, Stream


class SnapshotEnd(NamedTuple):
    """All rows of a snapshot are in the log, below these ends; the sweeps say that there are no others."""

    sweeps: list[RangeTombstone]
    ends: Mapping[TopicPartition, int]


class Connector:
    """Follows a source into a log. What it has not emitted when its slot is lost, it never does.

    `finished` are the snapshots whose every row is in the log.
    """

    def __init__(self, source: Source, log: Log) -> None:
        self._source = source
        self._log = log
        self._moved: set[tuple[int, int, int]] = set()
        self._emitted: list[Record | RangeTombstone] = []
        self._late: list[Record] = []
        self.finished: list[SnapshotEnd] = []
        self._begin(0)

    def emit(self, count: int) -> None:
        """Emit so many of the changes that are due."""
        self._follow()
        for _ in range(min(count, len(self._outbox))):
            unit = self._outbox.popleft()
            if isinstance(unit, SnapshotEnd):
                self.finished.append(unit._replace(ends=self._log.all_ends))
                self._streamed.clear()
            else:
                self._log.append(unit)
                self._emitted.append(unit)
                self._streamed.append(unit)

    def emit_all(self) -> None:
        """Emit every change that is due."""
        self._follow()
        self.emit(len(self._outbox))

    def restart(self, choices: Choices) -> None:
        """Emit the last few streamed changes again."""
        self._follow()
        if self._is_streaming and not any(isinstance(unit, SnapshotEnd) for unit in self._outbox):
            back = choices.below(8)
            self._outbox.extendleft(reversed(self._streamed[-1 - back :]))
            del self._streamed[-1 - back :]

    def write_late(self, choices: Choices) -> None:
        """A producer that was given up for dead writes what it still has, or what has been written long since."""
        self._follow()
        if self._late and choices.below(2):
            self._log.append(self._late.pop(choices.below(len(self._late))))
        elif self._emitted:
            start = choices.below(len(self._emitted))
            for unit in self._emitted[start : start + 1 + choices.below(4)]:
                self._log.append(unit)

    def is_outdated(self, epoch: int, lsn: int) -> bool:
        """Whether a snapshot was given up after it had emitted this row, and another one has been taken since."""
        taken = [one.lsn for stream in self._source.streams if stream.epoch == epoch for one in stream.snapshots]
        finished = {
            range_tombstone.lsn
            for end in self.finished
            for range_tombstone in end.sweeps
            if range_tombstone.epoch == epoch
        }
        return lsn not in finished and lsn < max(taken)

    @property
    def _stream(self) -> Stream:
        return self._source.streams[self._index]

    def _begin(self, index: int) -> None:
        self._index = index
        self._snapshots = 0
        self._next_commit = 0
        self._is_streaming = False
        self._outbox: deque[Record | RangeTombstone | SnapshotEnd] = deque()
        self._streamed: list[Record | RangeTombstone] = []
        self._started_at = {table: self._log.ends(table) for table in TABLES}

    def _follow(self) -> None:
        """See what the source has come to since."""
        self._move()
        while self._index < len(self._source.streams) - 1:
            epoch = self._stream.epoch
            self._begin(self._index + 1)
            if self._stream.epoch != epoch:
                # Opening an epoch fences the producers of the one before.
                self._emitted, self._late = [], []
            self._move()
        self._take_snapshots()
        if self._source.is_streaming:
            self._stream_commits()

    def _move(self) -> None:
        for commit, partitions in self._stream.moves.items():
            if (move := (self._index, commit, partitions)) not in self._moved:
                self._moved.add(move)
                self._log.append(Move(partitions))

    def _take_snapshots(self) -> None:
        for snapshot in self._stream.snapshots[self._snapshots :]:
            self._late += [unit for unit in self._outbox if isinstance(unit, Record)]
            self._outbox = deque(snapshot_rows(snapshot, self._stream.epoch))
            self._next_commit = snapshot.first_commit
            self._snapshots += 1

    def _stream_commits(self) -> None:
        if not self._is_streaming:
            self._outbox.append(SnapshotEnd(sweeps(self._stream, self._started_at), {}))
            self._is_streaming = True
        commits = self._source.database.commits
        for index in range(self._next_commit, len(commits)):
            self._outbox.extend(changes_of_commit(self._stream, commits, index))
        self._next_commit = len(commits)
