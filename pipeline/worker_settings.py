"""Settings of the workers: batches, accumulation before a write, and time limits of store calls."""

from __future__ import annotations

from dataclasses import dataclass

CAUGHT_UP_RECORDS = 1_000
"""Number of records below which a worker has caught up: it receives fewer at once, or lags by fewer."""


FAR_BEHIND_RECORDS = 50_000
"""Number of records at which a worker lags far: its model is seconds old, and fewer writes make it current sooner."""


@dataclass(frozen=True)
class AccumulatorSettings:
    """Limits on accumulating changes before a write, while more records wait.

    Args:
        max_bytes: size of the accumulated changes after compaction, and at most twice as much before it; zero disables
            accumulation.
        max_wait_s: maximum time that a change is accumulated while the worker does not lag far; None for no limit.
        max_wait_far_behind_s: maximum time that a change is accumulated at all; None for no limit.
        few_records: changes are written at once if fewer records arrived, or if the worker lags by fewer. If zero, a
            worker
            that has caught up accumulates too.
        many_records: number of records at which a worker lags far.
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
    """Limits of a batch, and timeouts of the consumer.

    Args:
        max_records: maximum number of records in a batch.
        session_timeout_s: time without heartbeats after which the group reassigns a worker's partitions.
        max_poll_interval_s: time without polling after which a process loses its partitions.
        drain_timeout_s: maximum wait of a revoked partition for the current batch.
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
    """Time budgets for one call of a store with 50,000 changes, well above its client's request timeout.

    Args:
        elasticsearch_s, redis_s, duckdb_s: budget of a whole batch; one call takes a fraction of it.
    """

    elasticsearch_s: float = 300.0
    redis_s: float = 120.0
    duckdb_s: float = 600.0

    def __post_init__(self) -> None:
        if min(self.elasticsearch_s, self.redis_s, self.duckdb_s) <= 0:
            raise ValueError(f"every budget must be above zero: {self}")
