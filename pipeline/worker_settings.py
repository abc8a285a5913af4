"""Settings of the workers: batches, accumulation before a write, and time limits of store calls."""

from __future__ import annotations

from dataclasses import dataclass

CAUGHT_UP_RECORDS = 1_000
"""Records: a worker that is given fewer at once, or that lags by fewer, has caught up."""


FAR_BEHIND_RECORDS = 50_000
"""Records: a worker that lags by as many shows a state that is seconds old, and fewer writes make it current sooner."""


@dataclass(frozen=True)
class AccumulatorSettings:
    """How much is gathered before it is written, as long as more records wait.

    Args:
        max_bytes: of changes, after those that others replaced are gone, and at most twice as much before; nothing is
            gathered where it is zero.
        max_wait_s: how long a change may be held while the worker is not far behind; None for no limit.
        max_wait_far_behind_s: how long it may be held at all; None for no limit.
        few_records: nothing is held where fewer came, or where the worker lags by fewer. Where it is zero, changes are
            held also by a worker that has caught up.
        many_records: a worker that lags by as many is far behind.
    """

    max_bytes: int = 0
    max_wait_s: float | None = None
    max_wait_far_behind_s: float | None = None
    few_records: int = CAUGHT_UP_RECORDS
    many_records: int = FAR_BEHIND_RECORDS

    def __post_init__(self) -> None:
        limits = (self.max_bytes, self.max_wait_s or 0, self.max_wait_far_behind_s or 0)
        if min(limits) < 0 or not 0 <= self.few_records <= self.many_records:
            raise ValueError(f"no limit of what is gathered may be below zero: {self}")


NO_ACCUMULATION = AccumulatorSettings()


@dataclass(frozen=True, kw_only=True)
class BatchSettings:
    """How much is handed over at once, and how long the source waits for others.

    Args:
        max_records: the most records of a batch.
        session_timeout_s: after which silence a group gives a worker's partitions to others.
        max_poll_interval_s: after which a process that no longer polls loses its partitions.
        drain_timeout_s: how long a revoked partition waits for the batch in hand.
    """

    max_records: int = 50_000
    session_timeout_s: float = 10.0
    max_poll_interval_s: float = 300.0
    drain_timeout_s: float = 20.0

    def __post_init__(self) -> None:
        if min(self.max_records, self.session_timeout_s, self.max_poll_interval_s, self.drain_timeout_s) <= 0:
            raise ValueError(f"every limit of a batch must be above zero: {self}")


@dataclass(frozen=True, kw_only=True)
class WatchdogSettings:
    """How long one call of a store may take: well above what its client waits for an answer, and 50,000 changes.

    Args:
        elasticsearch_s, redis_s, duckdb_s: for a batch as a whole, of which each takes a fraction.
    """

    elasticsearch_s: float = 300.0
    redis_s: float = 120.0
    duckdb_s: float = 600.0

    def __post_init__(self) -> None:
        if min(self.elasticsearch_s, self.redis_s, self.duckdb_s) <= 0:
            raise ValueError(f"every budget must be above zero: {self}")

    def budget_for(self, model: str) -> float:
        """The budget of a model's store."""
        return {"elasticsearch": self.elasticsearch_s, "redis": self.redis_s, "duckdb": self.duckdb_s}[model]
