"""What was found in one model, and what was done about it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from pipeline.verify.difference import Difference, DifferenceKind
from pipeline.verify.repair import Repair

MAX_NAMED = 10_000
"""Differences, and repairs, of a model that are named; more are counted only."""


@dataclass
class Differences:
    """Differences: how many of each kind, and the first of them."""

    counts: Counter[DifferenceKind] = field(default_factory=Counter)
    differences: list[Difference] = field(default_factory=list)

    def add(self, difference: Difference) -> None:
        """Count a difference, and keep it if it is one of the first."""
        self.counts[difference.kind] += 1
        if len(self.differences) < MAX_NAMED:
            self.differences.append(difference)


@dataclass
class RepairSummary:
    """Repairs of a model.

    Args:
        is_executed: whether they were written, or are only what would be.
        count: documents and rows.
        repairs: the first of them.
        remaining: what differed still when it was looked at once more; empty where nothing was written.
    """

    is_executed: bool
    count: int = 0
    repairs: list[Repair] = field(default_factory=list)
    remaining: Differences = field(default_factory=Differences)

    def add(self, repairs: list[Repair]) -> None:
        """Count repairs, and keep those that are among the first."""
        self.count += len(repairs)
        self.repairs += repairs[: MAX_NAMED - len(self.repairs)]


@dataclass
class VerifyResult:
    """What was found in one model.

    Args:
        generation: the one that was asked for; None for the live one.
        documents: documents, or rows of tables, that were compared.
        rows: rows of PostgreSQL that they are made of; not counted in a quick look.
        elapsed_s: from when the model was turned to, with all waiting. The first that needs a side of PostgreSQL reads
            it at the same time, and the others find it read.
        mended: where repairs were asked for.
    """

    model: str
    generation: int | None = None
    documents: int = 0
    rows: int = 0
    elapsed_s: float = 0.0
    found: Differences = field(default_factory=Differences)
    mended: RepairSummary | None = None

    @property
    def rows_per_s(self) -> float:
        """Rows of PostgreSQL by the time that was taken."""
        return self.rows / self.elapsed_s if self.elapsed_s else 0.0

    @property
    def is_equal(self) -> bool:
        """Whether nothing is different, or is any more after it was mended."""
        if self.mended is not None and self.mended.is_executed:
            return not self.mended.remaining.counts
        return not self.found.counts
