"""Tests of a worker process's activity, as its heartbeat reports it."""

from __future__ import annotations

import threading

import pytest

from pipeline.ingest.retry import Retrier
from pipeline.memory_limit import MemoryExhausted
from pipeline.runtime.activity import ObservedSink, ProcessActivity
from pipeline.runtime.heartbeat import WorkerState, heartbeat_from
from sinks.batch import Batch
from sinks.errors import MutationRejected, StoreUnavailable
from sinks.generation import GenerationMetadata
from sinks.memory import MemoryStore


def test_a_process_starts_works_pauses_and_works_again() -> None:
    activity = ProcessActivity("redis")
    assert activity.heartbeat().state is WorkerState.STARTING
    with activity.of(1).of_work():
        assert (activity.heartbeat().state, activity.heartbeat().generations) == (WorkerState.WORKING, (1,))
        activity.paused.set()
        assert activity.heartbeat().state is WorkerState.PAUSED
        activity.paused.clear()
        assert activity.heartbeat().state is WorkerState.WORKING
    assert activity.heartbeat().generations == ()


def test_while_an_action_is_retried_the_heartbeat_has_its_reason() -> None:
    process = ProcessActivity("redis")
    of_generation, told = process.of(1), list[tuple[WorkerState, str]]()
    failures = iter([StoreUnavailable("refused"), StoreUnavailable("reset")])

    def write() -> None:
        heartbeat = process.heartbeat()
        reason = heartbeat.reason
        told.append((heartbeat.state, f"{reason.action}: {reason.message}" if reason else ""))
        for failure in failures:
            raise failure

    with of_generation.of_work():
        Retrier(threading.Event(), of_generation)("write", write)
        assert told == [
            (WorkerState.WORKING, ""),
            (WorkerState.WAITING, "write: StoreUnavailable: refused"),
            (WorkerState.WAITING, "write: StoreUnavailable: reset"),
        ]
        assert process.heartbeat().state is WorkerState.WORKING


def test_an_error_that_only_an_operator_can_repair_is_reported_with_its_remedy() -> None:
    activity = ProcessActivity("redis")
    with pytest.raises(MutationRejected), activity.of(2).of_work():
        raise MutationRejected("2: 400")
    told = activity.heartbeat().stopped_generations[2]
    assert (told.type, told.message, told.remedy) == (
        "MutationRejected",
        "MutationRejected: 2: 400",
        MutationRejected("2: 400").remedy,
    )
    activity.of_process.stop(MutationRejected("1: 400"))
    assert activity.heartbeat().state is WorkerState.STOPPED
    with pytest.raises(StoreUnavailable), activity.of(2).of_work():
        raise StoreUnavailable("a new process tries again")
    assert activity.heartbeat().stopped_generations == {}


def test_a_process_that_a_restart_repairs_reports_why_it_ends() -> None:
    activity = ProcessActivity("duckdb")
    activity.of_process.stop(MemoryExhausted("refused", is_bounded=True))
    ended = activity.heartbeat()
    assert ended.state is WorkerState.RESTARTING
    assert ended.reason is not None
    assert ended.reason.message == "MemoryExhausted: refused"


def test_a_batch_counts_as_applied_once_the_store_has_it() -> None:
    activity, store = ProcessActivity("duckdb"), MemoryStore([])
    store.create(1, GenerationMetadata())
    of_generation = activity.of(1)
    assert activity.heartbeat().applied_at is None
    ObservedSink(store.sink(1), of_generation).write(Batch())
    assert activity.heartbeat().applied_at is not None


def test_a_heartbeat_is_read_back_as_it_was_written() -> None:
    activity = ProcessActivity("redis")
    of_generation = activity.of(3)
    with of_generation.of_work():
        of_generation.wait("write", StoreUnavailable("refused"))
        heartbeat = activity.heartbeat()
    assert heartbeat_from(heartbeat.to_json()) == heartbeat
    assert heartbeat.key.startswith("worker/redis/")
