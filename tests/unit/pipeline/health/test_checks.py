"""Tests of the list of checks: each problem has a subject and a remedy, and a failed check is a problem."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from connectors.kafka_connect import ConnectUnavailable
from connectors.kafka_connect_status import ConnectorStatus, TaskStatus
from pipeline.health import checks
from pipeline.health.lag import Lag, PartitionLag
from pipeline.health.observation import ModelGenerations, Observation
from pipeline.health.problem import Problem
from pipeline.ingest.control_topic import ControlTopicMissing, StoredControl
from pipeline.postgres.replication import Slot
from pipeline.runtime.heartbeat import Heartbeat, StateReason, WorkerState
from pipeline.runtime.workers import ControlState, parse_control, replaced_by, restarting_before
from pipeline.worker_settings import WatchdogSettings
from sinks.errors import StoreUnavailable
from sinks.generation import GenerationMetadata

RUNNING = ConnectorStatus("orders", "RUNNING", "", (TaskStatus(0, "RUNNING", ""),))
SLOT = Slot("debezium", "orders_db", "pgoutput", True, "reserved", None, 1, 1, 0)
LIVE = ModelGenerations(1, {1: GenerationMetadata()})
NOW = datetime.now(UTC)
LATE = Lag((PartitionLag("t", 0, 1, 2, 1),), 600.0)
CONTRACT = StateReason("RecordRejected", "t/0 offset 3: cut short", "Look at the record.")


def at(seconds_ago: float) -> datetime:
    return NOW - timedelta(seconds=seconds_ago)


def heartbeat(state: WorkerState = WorkerState.WORKING, pid: int = 7, **said: Any) -> Heartbeat:
    defaults = {"since": at(400), "started_at": at(400), "generations": (1,), "applied_at": at(300)}
    return Heartbeat(model="redis", host="here", pid=pid, state=state, **{**defaults, **said})


def control(*heartbeats: Heartbeat, silent_s: float = 1.0, is_paused: bool = False) -> ControlState:
    """Return a control topic with these heartbeats; the first has been silent for `silent_s`."""
    kept = {one.key: StoredControl(one.to_json(), at(1)) for one in heartbeats}
    if heartbeats:
        kept[heartbeats[0].key] = StoredControl(heartbeats[0].to_json(), at(silent_s))
    requests = {"redis": StoredControl(b'{"is_paused":true}' if is_paused else b'{"is_paused":false}', at(9))}
    return parse_control({**requests, **kept}, NOW)


class Looked:
    """An observation with given facts; an error stands for a fact that could not be read."""

    def __init__(self, **facts: Any) -> None:
        self.settings = SimpleNamespace(
            connector=SimpleNamespace(slot="debezium"), watchdog=WatchdogSettings(redis_s=120)
        )
        self.models = ("redis",)
        self.max_staleness_s = facts.get("max_staleness_s")
        self.connector = known(facts.get("connector", RUNNING))
        self.slot = known(facts.get("slot", SLOT))
        self.generations = {"redis": known(facts.get("generations", LIVE))}
        self.control = known(facts.get("control", control(heartbeat())))
        self.lag = {"redis": known(facts.get("lag", Lag((), 0.0)))}

    def submit(self, read: Any, *args: Any) -> Future[Any]:
        return known(read(*args))


def known(fact: object) -> Future[Any]:
    future: Future[Any] = Future()
    if isinstance(fact, Exception):
        future.set_exception(fact)
    else:
        future.set_result(fact)
    return future


@pytest.fixture(autouse=True)
def only_given_facts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Disable checks that observe for themselves."""
    given = tuple(check for check in checks.DEPLOYMENT_CHECKS if check[0] in {"connector", "slot"})
    monkeypatch.setattr(checks, "DEPLOYMENT_CHECKS", given)


def found(**facts: Any) -> list[Problem]:
    return checks.find_problems(cast("Observation", Looked(**facts)))


def test_a_healthy_deployment_has_no_problem() -> None:
    assert found() == []


@pytest.mark.parametrize(
    ("facts", "subject", "word"),
    [
        ({"connector": ConnectorStatus("orders", "PAUSED", "", RUNNING.tasks)}, "connector", "PAUSED"),
        ({"connector": ConnectorStatus("orders", "RUNNING", "", ())}, "connector", "no tasks"),
        ({"connector": ConnectUnavailable("no answer")}, "connector", "no answer"),
        ({"slot": None}, "slot", "does not exist"),
        ({"generations": ModelGenerations(None, {1: GenerationMetadata()})}, "redis", "no generation is live"),
        ({"generations": ModelGenerations(1, {})}, "redis", "generation 1 is live, but does not exist"),
        ({"generations": StoreUnavailable("refused")}, "redis", "refused"),
        ({"lag": Lag((PartitionLag("t", 0, 1, 2, 1),), 31.0), "max_staleness_s": 30.0}, "redis", "31 s"),
        ({"control": control()}, "redis", "no worker runs"),
        ({"control": control(heartbeat(), silent_s=21)}, "redis", "missing: silent for 21 s, then working"),
        ({"control": control(heartbeat(), is_paused=True)}, "redis", "paused since"),
        ({"control": control(heartbeat(WorkerState.STARTING, generations=()))}, "redis", "process 7, is starting"),
        ({"control": control(heartbeat(WorkerState.STANDBY, generations=()))}, "redis", "process 7, is standby"),
        ({"control": control(heartbeat(generations=(2,)))}, "redis", "no worker updates generation 1"),
        ({"control": control(heartbeat(WorkerState.STOPPED, reason=CONTRACT), silent_s=9e5)}, "redis", "cut short"),
        ({"control": control(heartbeat(WorkerState.WAITING, reason=CONTRACT))}, "redis", "has been waiting since"),
        ({"control": control(heartbeat(WorkerState.RESTARTING, reason=CONTRACT))}, "redis", "will be restarted: t/0"),
        ({"control": control(heartbeat(stopped_generations={2: CONTRACT}))}, "redis", "generation 2 is not kept"),
        ({"control": control(heartbeat()), "lag": LATE}, "redis", "has applied none for"),
        ({"control": ControlTopicMissing("there is no topic")}, "redis", "there is no topic"),
        ({"slot": ZeroDivisionError("4711")}, "slot", "check failed: unexpected ZeroDivisionError"),
    ],
)
def test_each_problem_is_reported_once_with_its_remedy(facts: dict[str, Any], subject: str, word: str) -> None:
    [problem] = found(**facts)
    assert problem.subject == subject
    assert word in problem.problem
    assert problem.remedy.endswith(".")


def test_a_worker_that_starts_takes_the_place_of_one_that_is_gone() -> None:
    stopped, killed = heartbeat(WorkerState.STOPPED, pid=6, reason=CONTRACT), heartbeat(pid=6)
    for gone in (stopped, killed):
        assert found(control=control(gone, heartbeat(started_at=at(10)), silent_s=30)) == []
        assert len(found(control=control(gone, heartbeat(started_at=at(50)), silent_s=30))) == 1
        again = heartbeat(WorkerState.STOPPED, started_at=at(10), reason=CONTRACT)
        assert len(found(control=control(gone, again, silent_s=30))) == 1


@pytest.mark.parametrize(
    ("facts", "remedy"),
    [
        ({"control": control(heartbeat(generations=(2,)))}, "Start it again: `readmodels run redis`."),
        (
            {"control": control(heartbeat()), "lag": LATE},
            "Stop its `readmodels run` and start it again: `readmodels run redis`.",
        ),
    ],
)
def test_a_worker_that_is_restarted_as_its_remedy_requires_is_no_problem(facts: dict[str, Any], remedy: str) -> None:
    [problem] = found(**facts)
    assert problem.remedy == remedy
    # The clock of the check, because this module may have been imported long before the test runs.
    started_at = datetime.now(UTC)
    again = heartbeat(pid=8, since=started_at, started_at=started_at, applied_at=None)
    assert found(**{**facts, "control": control(again)}) == []


def test_a_record_of_another_program_under_a_workers_key_is_no_worker() -> None:
    foreign = parse_control({"worker/redis/here/7": StoredControl(b"{}", NOW), "redis": StoredControl(b"{}", NOW)}, NOW)
    assert [problem.problem for problem in found(control=foreign)] == ["no worker runs"]


def test_a_check_is_added_by_one_entry_in_the_list(monkeypatch: pytest.MonkeyPatch) -> None:
    def dead_letters(_: Observation) -> Iterator[Problem]:
        yield Problem("dead letters", "2 records are parked", "Run `readmodels dlq list`.")

    monkeypatch.setattr(checks, "DEPLOYMENT_CHECKS", (*checks.DEPLOYMENT_CHECKS, ("dead letters", dead_letters)))
    assert [problem.subject for problem in found()] == ["dead letters"]


def test_a_worker_that_ends_takes_the_records_of_those_with_it_in_whose_place_it_ran() -> None:
    stopped = heartbeat(WorkerState.STOPPED, pid=1, reason=CONTRACT)
    later, beside = heartbeat(pid=2, started_at=at(5)), heartbeat(pid=3)
    kept = {one.key: StoredControl(one.to_json(), at(1)) for one in (later, beside)} | {
        stopped.key: StoredControl(stopped.to_json(), at(60)),
        "worker/duckdb/here/1": StoredControl(b'{"of": "another version"}', at(60)),
        "redis": StoredControl(b'{"is_paused":false}', at(9)),
    }
    assert replaced_by(later.key, kept, NOW) == [stopped.key]
    assert replaced_by("worker/redis/here/99", kept, NOW) == []


def test_a_generation_that_is_filled_for_the_first_time_is_named_with_its_progress() -> None:
    building = ModelGenerations(1, {1: GenerationMetadata(is_complete=False)})
    (problem,) = found(generations=building, lag=Lag((PartitionLag("t", 0, 3, 4, 1),), 0.5))
    assert problem.problem.startswith("generation 1 is building: it holds 75% of the log so far")
    assert "snapshot has ended" in problem.remedy


def test_a_worker_knows_why_the_one_ended_in_whose_place_it_was_started() -> None:
    first, last = (heartbeat(WorkerState.RESTARTING, pid=pid, since=at(60 - pid), reason=CONTRACT) for pid in (1, 2))
    elsewhere = Heartbeat(
        model="redis", host="there", pid=3, state=WorkerState.RESTARTING, since=at(9), started_at=at(9), reason=CONTRACT
    )
    kept = {one.key: StoredControl(one.to_json(), at(1)) for one in (last, first, elsewhere, heartbeat(pid=4))}
    assert restarting_before(heartbeat(pid=5), {**kept, "redis": StoredControl(b"{}", at(1))}) == [first, last]
