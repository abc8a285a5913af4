"""Waiting until a generation holds everything that was committed before now."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import structlog

from pipeline.postgres.watermark import Offsets
from sinks.batch import Progress
from sinks.errors import StoreUnavailable

log = structlog.get_logger()

POLL_INTERVAL_S = 0.2
RETRY_AFTER_S = 2.0
"""After a look that the store did not answer: it may be down, or have more to do than it can."""

ProgressCallback = Callable[[Progress], None]
"""Is called with every progress that was seen; what it raises ends the waiting."""


class GenerationCatchUpTimeout(Exception):
    """A generation did not get as far as PostgreSQL was, in the time it was given."""

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
    """Return once `progress` is at these offsets; a store that does not answer is asked again, after `wait`.

    Raises:
        GenerationCatchUpTimeout: it was not, after `timeout_s`; the message says what is lacking.
        StoreUnavailable: the store did not answer then.
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
