"""Recheck of the keys that seemed to differ, repeated for rows that were written during it.

A recheck reads the rows in PostgreSQL, writes a watermark, waits until the model reaches it, reads the model, and reads
the rows again. If a row has the same `xmin` both times, nothing wrote it in between and the model has applied all its
changes: a remaining difference is confirmed. If `xmin` differs, the model may show either version, or one in between.
Rows that are written continuously are polled: both sides are read in quick succession, and the row is equal once the
model shows a text that PostgreSQL held shortly before.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipeline.postgres.watermark import Watermark
from pipeline.verify.catch_up import CatchUp, LagCallback
from pipeline.verify.comparison_set import ComparisonSet
from pipeline.verify.difference import Difference, DifferenceKind, differences
from pipeline.verify.readers.reader import ModelReader
from pipeline.verify.repair import ConfirmedDifference
from pipeline.verify.source.reader import SourceReader
from pipeline.verify.staging import ComparisonStore, digest

RECHECKS = 10
"""Maximum number of rechecks. A row that was written during each of them is reported as undecided."""
WATCHED_S = 3.0
WATCHED_EVERY_S = 0.05
WATCHED_KEYS = 500
"""Maximum number of rows polled at a time. A larger set is rechecked first: few rows are written continuously."""


@dataclass(frozen=True)
class Rechecker:
    """Recheck of suspect keys between PostgreSQL and one model."""

    model: str
    source: SourceReader
    shown: ModelReader
    staging: ComparisonStore
    arrival: CatchUp

    def resolve(self, tell: LagCallback) -> Iterator[list[ConfirmedDifference]]:
        """Decide every suspect key. Yield confirmed differences as they are found, several keys of one set together."""
        for _ in range(RECHECKS):
            if not self.staging.count_suspects():
                return
            self._note()
            watermark = self.arrival.set_watermark()
            self.arrival.wait(self.model, self.shown, self.arrival.end_offsets(watermark), tell)
            for subject in self.shown.subjects:
                for keys in self.staging.suspects(subject):
                    if wrong := self._recheck(subject, keys, watermark):
                        yield wrong
            if self.staging.count_suspects() <= WATCHED_KEYS:
                self._poll_hot_rows()
        for subject in self.shown.subjects:
            for keys in self.staging.suspects(subject):
                self.staging.clear(subject, keys)
                yield [_undecided(subject, key) for key in keys]

    def _poll_hot_rows(self) -> None:
        """Poll both sides of the remaining suspects after the model has reached the watermark."""
        for subject in self.shown.subjects:
            for keys in self.staging.suspects(subject):
                held: dict[str, set[str | None]] = {key: set() for key in keys}
                ends_at = time.monotonic() + WATCHED_S
                while held and time.monotonic() < ends_at:
                    rows = self.source.some(subject, list(held))
                    for key, known in held.items():
                        known.add(digest(rows[key].text) if key in rows else None)
                    shown = self.shown.lookup(subject, list(held))
                    alike = [key for key, known in held.items() if _digest(shown.get(key)) in known]
                    self.staging.clear(subject, alike)
                    for key in alike:
                        del held[key]
                    time.sleep(WATCHED_EVERY_S)

    def _note(self) -> None:
        self.staging.forget_versions()
        for subject in self.shown.subjects:
            for keys in self.staging.suspects(subject):
                self.staging.save_versions(subject, self.source.some(subject, keys))

    def _recheck(self, subject: ComparisonSet, keys: Sequence[str], watermark: Watermark) -> list[ConfirmedDifference]:
        noted = self.staging.versions(subject, keys)
        shown = self.shown.lookup(subject, keys)
        held = self.source.some(subject, keys)
        refused = self.shown.rejected(subject, [key for key in keys if key in held and key not in shown])
        settled, found = [], []
        for key in keys:
            before_version, before_digest = noted.get(key, (None, None))
            now, seen = held.get(key), shown.get(key)
            wrong = differences(subject, key, now.text if now else None, seen)
            if wrong and key in refused:
                wrong = [Difference(DifferenceKind.REJECTED, subject.name, key, reason=refused[key])]
            is_unchanged = before_version == (now.version if now else None)
            was_seen_before = before_digest == _digest(seen)
            if is_unchanged or was_seen_before or not wrong:
                settled.append(key)
            if is_unchanged and wrong:
                found.append(ConfirmedDifference(subject, key, tuple(wrong), watermark, before_version, seen))
        self.staging.clear(subject, settled)
        return found


def _digest(text: str | None) -> str | None:
    return None if text is None else digest(text)


def _undecided(subject: ComparisonSet, key: str) -> ConfirmedDifference:
    return ConfirmedDifference(subject, key, (Difference(DifferenceKind.UNDECIDED, subject.name, key),))
