"""Tests of the wait until a store has caught up, even if the store is overloaded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import pytest

from pipeline import catch_up as module
from pipeline.catch_up import wait_until_caught_up
from pipeline.generations.cutover import GenerationCatchUpTimeout
from sinks.batch import Progress
from sinks.errors import StoreUnavailable

TOPIC_PARTITION = ("topic", 0)
BUSY = StoreUnavailable("429 circuit_breaking_exception")


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POLL_INTERVAL_S", 0.001)
    monkeypatch.setattr(module, "RETRY_AFTER_S", 0.001)


def looks(*answers: int | Exception) -> Callable[[], Progress]:
    """Return a function with these successive answers of a store; the last one repeats."""
    each: Iterator[int | Exception] = iter(answers)

    def progress() -> Progress:
        answer = next(each, answers[-1])
        if isinstance(answer, Exception):
            raise answer
        return Progress({TOPIC_PARTITION: answer})

    return progress


wait = partial(wait_until_caught_up, ends={TOPIC_PARTITION: 7}, late=GenerationCatchUpTimeout)


def test_a_store_that_does_not_answer_for_a_while_is_asked_again() -> None:
    seen: list[int] = []
    wait(looks(3, BUSY, BUSY, 7), look=lambda progress: seen.append(progress.next_offset(TOPIC_PARTITION)))
    assert seen == [3, 7]


def test_a_store_that_does_not_answer_in_time_raises_its_own_error() -> None:
    with pytest.raises(StoreUnavailable, match="429"):
        wait(looks(BUSY), timeout_s=0.02)


def test_a_generation_that_does_not_get_there_in_time_is_behind() -> None:
    with pytest.raises(GenerationCatchUpTimeout, match=r"4 offsets are missing in 1 partitions, 4 of them in topic/0"):
        wait(looks(3), timeout_s=0.02)


def test_a_caller_that_does_not_want_to_wait_for_the_store_ends_the_wait() -> None:
    def give_up(error: StoreUnavailable) -> None:
        raise error

    with pytest.raises(StoreUnavailable, match="429"):
        wait(looks(BUSY, 7), unavailable=give_up)
