"""A second look at what seemed to differ, and a third where it changed meanwhile: nothing is excused.

A look reads the rows in PostgreSQL, sets a mark, waits for the model to reach it, reads the model, and reads the rows
again. Where a row has the same `xmin` both times, nobody wrote it in between, and the model had taken in all of it: if
it shows something else, that stands. Where `xmin` differs, the model may show either version, or one between them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipeline.marks import Mark
from pipeline.verify.arrival import Arrival, Tell
from pipeline.verify.difference import Difference, Kind, differences
from pipeline.verify.repair import Finding
from pipeline.verify.scratch import Scratch, digest
from pipeline.verify.shown import Shown
from pipeline.verify.source_side import SourceSide
from pipeline.verify.subject import Subject

LOOKS = 10
"""After so many, a row that was written during each of them stays undecided."""


@dataclass(frozen=True)
class Looks:
    """Looks at the keys in dispute between PostgreSQL and one model."""

    model: str
    source: SourceSide
    shown: Shown
    scratch: Scratch
    arrival: Arrival

    def settle(self, tell: Tell) -> Iterator[list[Finding]]:
        """Decide every key in dispute; what is wrong is named as it is found, some keys of one subject at a time."""
        for _ in range(LOOKS):
            if not self.scratch.count_disputed():
                return
            self._note()
            mark = self.arrival.mark()
            self.arrival.wait(self.model, self.shown, self.arrival.ends(mark), tell)
            for subject in self.shown.subjects:
                for keys in self.scratch.disputed(subject):
                    if wrong := self._judge(subject, keys, mark):
                        yield wrong
        for subject in self.shown.subjects:
            for keys in self.scratch.disputed(subject):
                self.scratch.settle(subject, keys)
                yield [_undecided(subject, key) for key in keys]

    def _note(self) -> None:
        self.scratch.forget_noted()
        for subject in self.shown.subjects:
            for keys in self.scratch.disputed(subject):
                self.scratch.note(subject, self.source.some(subject, keys))

    def _judge(self, subject: Subject, keys: Sequence[str], mark: Mark) -> list[Finding]:
        noted = self.scratch.noted(subject, keys)
        shown = self.shown.some(subject, keys)
        held = self.source.some(subject, keys)
        settled, found = [], []
        for key in keys:
            before_version, before_digest = noted.get(key, (None, None))
            now, seen = held.get(key), shown.get(key)
            wrong = differences(subject, key, now.text if now else None, seen)
            is_unchanged = before_version == (now.version if now else None)
            was_seen_before = before_digest == (digest(seen) if seen is not None else None)
            if is_unchanged or was_seen_before or not wrong:
                settled.append(key)
            if is_unchanged and wrong:
                found.append(Finding(subject, key, tuple(wrong), mark, before_version, seen))
        self.scratch.settle(subject, settled)
        return found


def _undecided(subject: Subject, key: str) -> Finding:
    return Finding(subject, key, (Difference(Kind.UNDECIDED, subject.name, key),))
