"""Tests of the policy for errors, such as retry, rewind, restart or stop."""

from __future__ import annotations

import threading

import pytest
import structlog

from connectors.errors import MissingColumn, RegistryUnavailable
from pipeline.ingest.retry import RecoveryAction, Retrier, StopRequested, action_for
from sinks.duckdb.store import WriterLockHeld
from sinks.errors import GenerationMissing, MutationRejected, OffsetGap, StoreNeedsRestart, StoreUnavailable


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (StoreUnavailable("down"), RecoveryAction.RETRY),
        (WriterLockHeld("held"), RecoveryAction.RETRY),
        (RegistryUnavailable("silent"), RecoveryAction.RETRY),
        (StoreNeedsRestart("gone"), RecoveryAction.RESTART),
        (OffsetGap({("orders", 0): 3}), RecoveryAction.REWIND),
        (MissingColumn("total"), RecoveryAction.STOP),
        (MutationRejected("orders"), RecoveryAction.STOP),
        (GenerationMissing("none"), RecoveryAction.STOP),
        (ZeroDivisionError(), RecoveryAction.STOP),
    ],
)
def test_every_error_has_one_verdict(error: Exception, expected: RecoveryAction) -> None:
    assert action_for(error) is expected


class Immediate(threading.Event):
    """An event whose waits return at once."""

    def wait(self, timeout: float | None = None) -> bool:  # noqa: ARG002
        return self.is_set()


def test_temporary_errors_are_retried_until_success() -> None:
    failures = iter([StoreUnavailable("down"), RegistryUnavailable("silent")])

    def attempt() -> str:
        for failure in failures:
            raise failure
        return "done"

    assert Retrier(Immediate())("write", attempt) == "done"


def test_the_reason_of_a_retry_is_logged_once_and_again_if_it_changes() -> None:
    failures = iter([*[StoreUnavailable("down")] * 5, *[RegistryUnavailable("silent")] * 5])

    def attempt() -> None:
        for failure in failures:
            raise failure

    with structlog.testing.capture_logs() as lines:
        Retrier(Immediate())("write", attempt)
    assert [(line["event"], line.get("reason"), line.get("attempt")) for line in lines] == [
        ("retrying", "down", 1),
        ("retrying", "silent", 6),
        ("recovered", None, None),
    ]


def test_permanent_errors_are_raised_at_once() -> None:
    attempts = []

    def attempt() -> None:
        attempts.append(1)
        raise MutationRejected("orders")

    with pytest.raises(MutationRejected):
        Retrier(Immediate())("write", attempt)
    assert len(attempts) == 1


def test_retrying_ends_when_the_worker_is_stopped() -> None:
    until = Immediate()

    def attempt() -> None:
        until.set()
        raise StoreUnavailable("down")

    with pytest.raises(StopRequested):
        Retrier(until)("write", attempt)
