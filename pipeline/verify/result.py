"""Result of the verification of one model, and of its repair."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from pipeline.verify.difference import Difference, DifferenceKind
from pipeline.verify.repair import Repair

MAX_NAMED = 10_000
"""Maximum number of differences, and of repairs, that are listed per model. Further ones are only counted."""


@dataclass
class Differences:
    """Differences: a count per kind, and the first `MAX_NAMED` of them."""

    counts: Counter[DifferenceKind] = field(default_factory=Counter)
    differences: list[Difference] = field(default_factory=list)

    def add(self, difference: Difference) -> None:
        """Count a difference, and store it if it is among the first."""
        self.counts[difference.kind] += 1
        if len(self.differences) < MAX_NAMED:
            self.differences.append(difference)


@dataclass
class RepairSummary:
    """Repairs of a model.

    Args:
        is_executed: whether the repairs were written; otherwise they are only planned.
        count: number of documents and rows.
        repairs: the first of them.
        remaining: differences found by a recheck after the repair; empty if nothing was written.
    """

    is_executed: bool
    count: int = 0
    repairs: list[Repair] = field(default_factory=list)
    remaining: Differences = field(default_factory=Differences)

    def add(self, repairs: list[Repair]) -> None:
        """Count repairs, and store those that are among the first."""
        self.count += len(repairs)
        self.repairs += repairs[: MAX_NAMED - len(self.repairs)]


@dataclass
class VerifyResult:
    """Result of the verification of one model.

    Args:
        generation: the requested generation; None for the live one.
        documents: number of documents, or rows of tables, that were compared.
        rows: number of PostgreSQL rows in them; not counted with `sample` or `since`.
        elapsed_s: time spent on the model, including waits. The first model that needs a comparison set also waits
            while it is read from PostgreSQL; the others reuse it.
        mended: the repairs, if they were requested.
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
        """PostgreSQL rows compared per second."""
        return self.rows / self.elapsed_s if self.elapsed_s else 0.0

    @property
    def is_equal(self) -> bool:
        """True if nothing differs, or nothing differs any more after the repair."""
        if self.mended is not None and self.mended.is_executed:
            return not self.mended.remaining.counts
        return not self.found.counts
