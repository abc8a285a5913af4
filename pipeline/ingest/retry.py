"""Recovery policy: one table that maps errors to retry, rewind, restart or stop."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from enum import Enum, auto
from typing import Protocol, TypeVar

import structlog
import tenacity

from connectors.errors import DependencyUnavailable, SourceContractViolation, UnreadableRecord
from pipeline.invalid_definitions import InvalidDefinitions
from pipeline.memory_limit import MemoryExhausted
from sinks.errors import (
    GenerationBroken,
    GenerationMissing,
    MutationRejected,
    OffsetGap,
    StoreNeedsRestart,
    StoreUnavailable,
)

log = structlog.get_logger()
Answer = TypeVar("Answer")

MAX_PAUSE_S = 10.0
LOG_INTERVAL_S = 10.0
"""Interval between log lines while a worker retries; it retries more often than that."""


class RecoveryAction(Enum):
    """Reaction of a worker to an error."""

    RETRY = auto()
    """The cause is external and temporary: retry later."""
    REWIND = auto()
    """The store was rolled back: read the log again from its progress."""
    RESTART = auto()
    """The process cannot continue, but a new one can."""
    STOP = auto()
    """Continuing would lose or corrupt data: stop, and print the operator's remedy."""


_VERDICTS: dict[type[Exception], RecoveryAction] = {
    StoreUnavailable: RecoveryAction.RETRY,
    DependencyUnavailable: RecoveryAction.RETRY,
    StoreNeedsRestart: RecoveryAction.RESTART,
    MemoryError: RecoveryAction.RESTART,
    MemoryExhausted: RecoveryAction.RESTART,
    OffsetGap: RecoveryAction.REWIND,
    UnreadableRecord: RecoveryAction.STOP,
    SourceContractViolation: RecoveryAction.STOP,
    InvalidDefinitions: RecoveryAction.STOP,
    GenerationMissing: RecoveryAction.STOP,
    GenerationBroken: RecoveryAction.STOP,
    MutationRejected: RecoveryAction.STOP,
}


def action_for(error: BaseException) -> RecoveryAction:
    """Return the action for an error. An unknown type stops the worker."""
    for kind in type(error).__mro__:
        if kind in _VERDICTS:
            return _VERDICTS[kind]
    return RecoveryAction.STOP


class StopRequested(Exception):
    """The worker was stopped while it retried. No data is lost."""


class NotesWaits(Protocol):
    """Recorder of actions that are being retried."""

    def wait(self, action: str, error: BaseException) -> None:
        """Record that an action is being retried, and why."""

    def resume(self) -> None:
        """Record that the action succeeded."""


class Retrier:
    """Retry loop with growing, jittered pauses. Repeats a call while the policy says so, until it is stopped.

    Args:
        stop: ends the attempts.
        activity: records what is being retried.
    """

    def __init__(self, stop: threading.Event, activity: NotesWaits | None = None) -> None:
        self._until = stop
        self._activity = activity

    def __call__(self, action: str, function: Callable[[], Answer]) -> Answer:
        """Call `function` until it succeeds.

        Raises:
            StopRequested: `stop` was set first.
        """
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(lambda error: action_for(error) is RecoveryAction.RETRY),
            wait=tenacity.wait_random_exponential(multiplier=0.2, max=MAX_PAUSE_S),
            sleep=tenacity.sleep_using_event(self._until),
            stop=tenacity.stop_when_event_set(self._until),
            before_sleep=_RetryLog(action, self._activity),
        )
        try:
            answer: Answer = retrying(function)
        except tenacity.RetryError as error:
            raise StopRequested(action) from error
        if retrying.statistics.get("attempt_number", 1) > 1:
            log.info("recovered", action=action, waited_s=round(retrying.statistics["idle_for"], 1))
            if self._activity is not None:
                self._activity.resume()
        return answer


class _RetryLog:
    """Logger of retries: logs at once if the reason changes, and then at intervals."""

    def __init__(self, action: str, activity: NotesWaits | None) -> None:
        self._action = action
        self._activity = activity
        self._said = ""
        self._said_at = 0.0

    def __call__(self, state: tenacity.RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        if self._activity is not None and error is not None:
            self._activity.wait(self._action, error)
        reason, now = str(error), time.monotonic()
        if reason == self._said and now - self._said_at < LOG_INTERVAL_S:
            return
        self._said, self._said_at = reason, now
        remedy = getattr(error, "remedy", None)
        log.warning("retrying", action=self._action, reason=reason, remedy=remedy, attempt=state.attempt_number)
