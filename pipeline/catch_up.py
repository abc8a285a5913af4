"""Wait until a store has applied everything below given offsets."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import structlog

from sinks.batch import Offsets, Progress
from sinks.errors import StoreUnavailable

log = structlog.get_logger()

POLL_INTERVAL_S = 0.1
RETRY_AFTER_S = 2.0
"""Delay after a read that the store did not answer. The store may be down or overloaded."""

ProgressCallback = Callable[[Progress], None]
"""Callback for every progress that was read. An exception from the callback ends the wait."""

UnavailableCallback = Callable[[StoreUnavailable], None]
"""Callback for every read that the store did not answer. An exception from the callback ends the wait."""


def wait_until_caught_up(
    progress: Callable[[], Progress],
    ends: Offsets,
    late: Callable[[str], Exception],
    look: ProgressCallback = lambda _: None,
    timeout_s: float = math.inf,
    unavailable: UnavailableCallback = lambda _: None,
) -> None:
    """Wait until `progress` reaches these offsets. If the store does not answer, call `unavailable` and retry.

    Args:
        late: makes the error for a timeout, from a predicate such as "has not reached the watermark after 60 s: …".

    Raises:
        Exception: the error made by `late`: `timeout_s` has passed. The message gives the remaining lag.
        StoreUnavailable: the store did not answer at the timeout.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        is_late = time.monotonic() > deadline
        try:
            seen = progress()
        except StoreUnavailable as error:
            if is_late:
                raise
            unavailable(error)
            log.warning("retrying", action="read progress", reason=str(error), remedy=error.remedy)
            time.sleep(RETRY_AFTER_S)
            continue
        look(seen)
        lacking = seen.lag(ends)
        if not lacking:
            return
        if is_late:
            (topic, partition), offsets = max(lacking.items(), key=lambda one: one[1])
            raise late(
                f"has not reached the watermark after {timeout_s:g} s: {sum(lacking.values()):,} offsets are missing "
                f"in {len(lacking)} partitions, {offsets:,} of them in {topic}/{partition}"
            )
        time.sleep(POLL_INTERVAL_S)
