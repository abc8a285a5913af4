"""Tests of the workers of one model in one process, as generations come and go."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import cast

import pytest

from pipeline.epochs.guard import EpochGuard
from pipeline.ingest.worker import Worker
from pipeline.runtime.activity import Activity
from pipeline.runtime.generation_worker import GenerationWorker, IsDone
from pipeline.runtime.worker_pool import LiveGenerationGone, WorkerPool
from sinks.errors import GenerationMissing, MutationRejected, StoreNeedsRestart, StoreUnavailable
from sinks.generation import GenerationMetadata
from sinks.memory import MemoryStore
from sinks.sink import Sink
from tests.support.waiting import wait_for

BUILDING = GenerationMetadata(is_complete=False)


@dataclass
class ScriptedWorker:
    """A worker that runs until it is stopped, or fails."""

    generation: int
    is_working: threading.Event = field(default_factory=threading.Event)
    fails_with: Exception | None = None
    fails: threading.Event = field(default_factory=threading.Event)

    def run(self, stop: threading.Event, is_done: IsDone, activity: Activity) -> None:  # noqa: ARG002
        self.is_working.set()
        try:
            while not stop.wait(0.01):
                if self.fails.is_set() and self.fails_with is not None:
                    raise self.fails_with
                if is_done(cast("Sink", self)):
                    return
        finally:
            self.is_working.clear()


class Office:
    """A factory of scripted workers, which records them."""

    def __init__(self, store: MemoryStore) -> None:
        self.store = store
        self.hired: list[ScriptedWorker] = []
        self.raised: Exception | None = None

    def hire(self, generation: int, is_done: IsDone) -> GenerationWorker:
        self.hired.append(ScriptedWorker(generation))
        gate = cast("EpochGuard", None)
        return GenerationWorker(generation, cast("Worker", self.hired[-1]), gate, (), Activity(), is_done)

    def working(self) -> list[int]:
        return sorted(one.generation for one in self.hired if one.is_working.is_set())

    def of(self, generation: int) -> ScriptedWorker:
        return next(one for one in reversed(self.hired) if one.generation == generation)

    @contextmanager
    def at_work(self, is_done: IsDone = lambda _: False) -> Iterator[threading.Thread]:
        until = threading.Event()
        crew = WorkerPool(self.store, lambda generation: self.hire(generation, is_done))

        def run() -> None:
            try:
                crew.run(until)
            except Exception as error:  # noqa: BLE001 - looked at by the test
                self.raised = error

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield thread
        finally:
            until.set()
            thread.join()

    def becomes(self, *generations: int) -> None:
        wait_for(lambda: self.working() == [*generations], 10, lambda: f"{self.working()} work")


@pytest.fixture
def office(monkeypatch: pytest.MonkeyPatch) -> Office:
    monkeypatch.setattr("pipeline.runtime.worker_pool.RECONCILE_INTERVAL_S", 0.02)
    monkeypatch.setattr("pipeline.runtime.worker_pool.POLL_INTERVAL_S", 0.01)
    store = MemoryStore([])
    store.create(1, GenerationMetadata())
    store.sink(1).cutover()
    return Office(store)


def test_every_complete_generation_has_a_worker_and_a_building_one_has_none(office: Office) -> None:
    with office.at_work():
        office.becomes(1)
        office.store.create(2, BUILDING)
        office.store.create(3, GenerationMetadata())
        office.becomes(1, 3)
        office.store.mark_complete(2)
        office.becomes(1, 2, 3)
    assert office.working() == [], "all ended with the crew"


def test_a_building_generation_that_readers_see_or_saw_has_a_worker(office: Office) -> None:
    office.store.create(2, BUILDING)
    with office.at_work():
        office.becomes(1)
        office.store.sink(2).cutover()
        office.becomes(1, 2)
        office.store.sink(1).cutover()
        office.becomes(1, 2)
    assert [one.generation for one in office.hired] == [1, 2]


def test_a_cutover_ends_no_worker_and_a_dropped_generation_ends_its_own(office: Office) -> None:
    office.store.create(2, GenerationMetadata())
    with office.at_work():
        office.becomes(1, 2)
        office.store.sink(2).cutover()
        office.store.drop(1)
        office.becomes(2)
    assert [one.generation for one in office.hired] == [1, 2]


@pytest.mark.parametrize("is_another_left", [True, False])
def test_a_process_without_a_live_generation_stops(office: Office, is_another_left: bool) -> None:
    if is_another_left:
        office.store.create(2, GenerationMetadata())
    with office.at_work() as thread:
        office.becomes(*([1, 2] if is_another_left else [1]))
        office.store.shown = None
        office.store.drop(1)
        thread.join(10)
    assert isinstance(office.raised, LiveGenerationGone)
    assert "readmodels init" in office.raised.remedy


def test_a_worker_without_a_live_generation_stops_the_process_with_the_error_of_its_store(office: Office) -> None:
    with office.at_work() as thread:
        office.becomes(1)
        office.of(1).fails_with = GenerationMissing("orders-000001: 404")
        office.of(1).fails.set()
        thread.join(10)
    assert str(office.raised) == "orders-000001: 404"


def test_a_worker_whose_generation_was_pruned_after_a_cutover_stops_no_other(office: Office) -> None:
    office.store.create(2, GenerationMetadata())
    with office.at_work() as thread:
        office.becomes(1, 2)
        office.of(1).fails_with = GenerationMissing("orders-000001: 404")
        office.store.sink(2).cutover()
        office.store.drop(1)
        office.of(1).fails.set()
        office.becomes(2)
        assert thread.is_alive()
    assert office.raised is None


def test_a_failure_of_the_live_generation_ends_the_process(office: Office) -> None:
    with office.at_work() as thread:
        office.becomes(1)
        office.of(1).fails_with = MutationRejected("no")
        office.of(1).fails.set()
        thread.join(10)
    assert isinstance(office.raised, MutationRejected)


def test_a_failure_of_another_generation_affects_no_reader_until_it_is_live(office: Office) -> None:
    office.store.create(2, GenerationMetadata())
    with office.at_work():
        office.becomes(1, 2)
        office.of(2).fails_with = MutationRejected("no")
        office.of(2).fails.set()
        wait_for(lambda: len(office.hired) == 2 and not _is_alive(office, 2), 10, lambda: "generation 2 works on")
        assert office.raised is None
        office.store.sink(2).cutover()
        wait_for(lambda: len(office.hired) == 3, 10, lambda: "it was not tried again")
        office.becomes(1, 2)
    assert office.raised is None


def test_a_store_that_needs_a_restart_ends_the_process_whichever_generation_failed(office: Office) -> None:
    office.store.create(2, GenerationMetadata())
    with office.at_work() as thread:
        office.becomes(1, 2)
        office.of(2).fails_with = StoreNeedsRestart("fatal")
        office.of(2).fails.set()
        thread.join(10)
    assert isinstance(office.raised, StoreNeedsRestart)


def test_the_worker_pool_ends_once_all_are_done(office: Office) -> None:
    office.store.create(2, GenerationMetadata())
    with office.at_work(is_done=lambda _: True) as thread:
        thread.join(10)
        assert not thread.is_alive()
    assert [one.generation for one in office.hired] == [1, 2]


def test_a_store_that_does_not_answer_is_asked_again(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = _failing_once(office.store.live)
    monkeypatch.setattr(office.store, "live", answers)
    with office.at_work():
        office.becomes(1)
    assert office.raised is None


def _is_alive(office: Office, generation: int) -> bool:
    return any(thread.name == f"generation {generation}" for thread in threading.enumerate())


def _failing_once(answer: Callable[[], int | None]) -> Callable[[], int | None]:
    failures = [StoreUnavailable("down")]

    def ask() -> int | None:
        if failures:
            raise failures.pop()
        return answer()

    return ask
