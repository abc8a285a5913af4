"""Tests of the first fill of a generation: its duration and its end."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from pipeline.ingest.accumulator import BatchAccumulator
from pipeline.runtime.first_fill import FirstFill, first_fill_settings
from sinks.batch import Batch, OffsetRange, TopicPartition
from sinks.errors import GenerationBroken
from sinks.generation import GenerationMetadata, GenerationState
from sinks.memory import MemoryStore
from tests.support.waiting import wait_for
from tests.unit.pipeline.export.exported_shop import settings_of

SETTINGS = settings_of(Path())
FIRST = (min(SETTINGS.definitions.topics), 0)


@dataclass
class ScriptedLog:
    """A log with ends that the test chooses."""

    is_over: bool = False
    end: int = 0

    def is_snapshot_over(self) -> bool:
        return self.is_over

    def ends(self) -> dict[TopicPartition, int]:
        return {FIRST: self.end}


@dataclass
class Fill:
    """The first fill of generation 1 in memory, watched by one process."""

    log: ScriptedLog = field(default_factory=ScriptedLog)
    store: MemoryStore = field(default_factory=lambda: MemoryStore([]))
    held: set[TopicPartition] = field(default_factory=lambda: {FIRST})
    over: threading.Event = field(default_factory=threading.Event)
    accumulator: BatchAccumulator = field(
        default_factory=lambda: BatchAccumulator(first_fill_settings(SETTINGS.rebuild, is_snapshot_over=False), ())
    )

    def __post_init__(self) -> None:
        self.store.create(1, GenerationMetadata(is_complete=False))
        self.store.sink(1).cutover()
        self.accumulator.add(Batch(span=OffsetRange({FIRST: 0}, {FIRST: 1})))

    def write(self, end: int) -> None:
        self.store.sink(1).write(Batch(span=OffsetRange({FIRST: 0}, {FIRST: end})))

    def is_held_back(self) -> bool:
        """Return whether a worker that has caught up writes nothing yet."""
        return not self.accumulator.should_flush(1, 0)

    def state(self) -> GenerationState:
        return self.store.generations()[1].state(is_live=True)

    def watch(self) -> threading.Thread:
        made = FirstFill(SETTINGS, self.store, 1, self.store.sink(1), self.accumulator, self.log)
        thread = threading.Thread(target=made.follow, args=(self.over, lambda: self.held), daemon=True)
        thread.start()
        return thread


@pytest.fixture
def fill(monkeypatch: pytest.MonkeyPatch) -> Fill:
    monkeypatch.setattr("pipeline.runtime.first_fill.POLL_INTERVAL_S", 0.01)
    return Fill()


def test_a_generation_is_built_until_it_holds_the_snapshot(fill: Fill) -> None:
    fill.log.end = 7
    thread = fill.watch()
    assert (fill.state(), fill.is_held_back()) == (GenerationState.BUILDING, True)
    fill.log.is_over = True
    wait_for(lambda: not fill.is_held_back(), 10, lambda: "changes are held back after the snapshot")
    assert fill.state() is GenerationState.BUILDING
    fill.write(7)
    thread.join(10)
    assert fill.state() is GenerationState.LIVE


def test_a_process_without_the_first_partition_leaves_it_to_another_and_notices(fill: Fill) -> None:
    fill.log.is_over, fill.log.end, fill.held = True, 7, set()
    fill.write(7)
    thread = fill.watch()
    wait_for(lambda: not fill.is_held_back(), 10, lambda: "changes are held back after the snapshot")
    assert fill.state() is GenerationState.BUILDING
    fill.store.mark_complete(1)
    thread.join(10)
    assert not thread.is_alive()


def test_a_snapshot_from_which_nothing_comes_any_more_ends_the_fill(
    fill: Fill, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.runtime.first_fill.STALLED_AFTER_S", 0.05)
    fill.log.end = 7
    fill.write(7)
    fill.watch().join(10)
    assert fill.state() is GenerationState.LIVE


def test_a_process_that_ends_leaves_the_generation_to_the_next_one(fill: Fill) -> None:
    fill.log.end = 7
    thread = fill.watch()
    fill.over.set()
    thread.join(10)
    assert fill.state() is GenerationState.BUILDING
    fill.log.is_over = True
    fill.over.clear()
    fill.write(7)
    fill.watch().join(10)
    assert fill.state() is GenerationState.LIVE


def test_an_answer_that_keeps_the_fill_from_being_checked_does_not_end_the_checks(
    fill: Fill, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.runtime.first_fill.RETRY_AFTER_S", 0.01)
    answers = [GenerationBroken("read while it was written")]
    known = fill.store.generations

    def generations() -> Mapping[int, GenerationMetadata]:
        if answers:
            raise answers.pop()
        return known()

    monkeypatch.setattr(fill.store, "generations", generations)
    fill.log.is_over, fill.log.end = True, 7
    fill.write(7)
    fill.watch().join(10)
    assert fill.state() is GenerationState.LIVE


def test_changes_are_gathered_by_the_bytes_of_a_rebuild_and_held_for_seconds_at_most() -> None:
    rebuild = replace(SETTINGS.rebuild, max_bytes=1234)
    held, after = (first_fill_settings(rebuild, is_snapshot_over=is_over) for is_over in (False, True))
    assert (held.max_bytes, held.few_records, held.max_wait_s) == (1234, 0, 60.0)
    assert after == replace(held, few_records=rebuild.few_records)
