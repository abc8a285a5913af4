"""Catch-up of a generation with everything that was committed before now."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import structlog

from sinks.batch import Offsets, Progress
from sinks.errors import StoreUnavailable

log = structlog.get_logger()

POLL_INTERVAL_S = 0.2
RETRY_AFTER_S = 2.0
"""Delay after a read that the store did not answer. The store may be down or overloaded."""

ProgressCallback = Callable[[Progress], None]
"""Callback for every progress that was read. An exception from the callback ends the wait."""


class GenerationCatchUpTimeout(Exception):
    """A generation did not reach the watermark before the timeout."""

    remedy = (
        "`readmodels generations` shows how far each is. Start its workers with `readmodels run`, let them go on with "
        "`readmodels resume`, or give it longer, as with `readmodels cutover --timeout 600`."
    )


def wait_until_caught_up(
    progress: Callable[[], Progress],
    ends: Offsets,
    look: ProgressCallback,
    timeout_s: float | None = None,
    wait: Callable[[StoreUnavailable], None] = lambda _: None,
) -> None:
    """Wait until `progress` reaches these offsets. If the store does not answer, call `wait` and retry.

    Raises:
        GenerationCatchUpTimeout: `timeout_s` has passed; the message gives the remaining lag.
        StoreUnavailable: the store did not answer at the timeout.
    """
    deadline = math.inf if timeout_s is None else time.monotonic() + timeout_s
    while True:
        is_late = time.monotonic() > deadline
        try:
            seen = progress()
        except StoreUnavailable as error:
            if is_late:
                raise
            log.warning("waiting", action="read progress", reason=str(error), remedy=error.remedy)
            wait(error)
            time.sleep(RETRY_AFTER_S)
            continue
        look(seen)
        lacks = seen.lag(ends)
        if not lacks:
            return
        if is_late:
            (topic, partition), offsets = max(lacks.items(), key=lambda one: one[1])
            raise GenerationCatchUpTimeout(
                f"the mark was not reached after {timeout_s:g} s: {sum(lacks.values()):,} offsets are lacking in "
                f"{len(lacks)} partitions, {offsets:,} of them in {topic}/{partition}"
            )
        time.sleep(POLL_INTERVAL_S)
