"""Tests of waiting for a generation to catch up, even if its store is overloaded."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from connectors.kafka import KafkaSettings
from pipeline.generations import catch_up as module
from pipeline.generations.catch_up import GenerationCatchUpTimeout, wait_until_caught_up
from pipeline.generations.replay_in_place import OffsetBeyondEnd, from_offset
from sinks.batch import Progress
from sinks.errors import StoreUnavailable

SHARD = ("topic", 0)
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
        return Progress({SHARD: answer})

    return progress


def test_a_store_that_does_not_answer_for_a_while_is_asked_again() -> None:
    seen: list[int] = []
    wait_until_caught_up(looks(3, BUSY, BUSY, 7), {SHARD: 7}, lambda progress: seen.append(progress.next_offset(SHARD)))
    assert seen == [3, 7]


def test_a_store_that_does_not_answer_in_time_says_so_itself() -> None:
    with pytest.raises(StoreUnavailable, match="429"):
        wait_until_caught_up(looks(BUSY), {SHARD: 7}, lambda _: None, timeout_s=0.02)


def test_a_generation_that_does_not_get_there_in_time_is_behind() -> None:
    with pytest.raises(GenerationCatchUpTimeout, match=r"4 offsets are lacking in 1 partitions, 4 of them in topic/0"):
        wait_until_caught_up(looks(3), {SHARD: 7}, lambda _: None, timeout_s=0.02)


def test_an_offset_that_no_partition_reaches_is_refused_with_the_ends_of_all() -> None:
    kafka, ends = KafkaSettings(bootstrap_servers="kafka:9092"), {("topic", 0): 9, ("topic", 1): 4}
    assert from_offset(8)(kafka, ends) == {("topic", 0): 8, ("topic", 1): 8}
    with pytest.raises(OffsetBeyondEnd) as refused:
        from_offset(9)(kafka, ends)
    assert str(refused.value) == "every partition ends before offset 9: topic/0 at 9, topic/1 at 4"
    assert refused.value.remedy == (
        "Give a smaller offset; `readmodels replay all` says where each partition begins and ends."
    )
