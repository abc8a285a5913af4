"""A connector that emits the changes of its source a few at a time, with faults in between."""

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
    """The end of a snapshot: all its rows are in the log below these ends, and the sweeps delete all other rows."""

    sweeps: list[RangeTombstone]
    ends: Mapping[TopicPartition, int]


class Connector:
    """A connector that writes a source's changes into a log. Changes not emitted before the slot is lost are lost.

    `finished` are the snapshots whose rows are all in the log.
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
        """Emit up to `count` of the pending changes."""
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
        """Emit every pending change."""
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
        """Write the remaining or old records of a fenced producer, as a zombie does."""
        self._follow()
        if self._late and choices.below(2):
            self._log.append(self._late.pop(choices.below(len(self._late))))
        elif self._emitted:
            start = choices.below(len(self._emitted))
            for unit in self._emitted[start : start + 1 + choices.below(4)]:
                self._log.append(unit)

    def is_outdated(self, epoch: int, lsn: int) -> bool:
        """Return whether the row belongs to an abandoned snapshot that a later snapshot has replaced."""
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
        """Update the pending changes from the source's current state."""
        self._move()
        while self._index < len(self._source.streams) - 1:
            epoch = self._stream.epoch
            self._begin(self._index + 1)
            if self._stream.epoch != epoch:
                # Opening an epoch fences the producers of the previous one.
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
