"""The list of checks: each problem has a subject and a remedy, and a check that could not look is a problem."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any, cast

import pytest

from connectors.connect import ConnectUnavailable
from connectors.connector_status import ConnectorStatus, TaskStatus
from pipeline.health import checks
from pipeline.health.lag import Lag, PartitionLag
from pipeline.health.observation import ModelGenerations, Observation
from pipeline.health.problem import Problem
from pipeline.replication import Slot
from sinks.errors import StoreUnavailable
from sinks.generation import Record

RUNNING = ConnectorStatus("orders", "RUNNING", "", (TaskStatus(0, "RUNNING", ""),))
SLOT = Slot("debezium", "orders_db", "pgoutput", True, "reserved", None, 1, 1, 0)
LIVE = ModelGenerations(1, {1: Record()})


class Looked:
    """An observation whose facts are given; an error is what kept one from being read."""

    def __init__(self, **facts: Any) -> None:
        self.settings = cast("Any", type("", (), {"connector": type("", (), {"slot": "debezium"})}))
        self.models = ("redis",)
        self.max_staleness_s = facts.get("max_staleness_s")
        self.connector = known(facts.get("connector", RUNNING))
        self.slot = known(facts.get("slot", SLOT))
        self.generations = {"redis": known(facts.get("generations", LIVE))}
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


def found(**facts: Any) -> list[Problem]:
    return checks.find_problems(cast("Observation", Looked(**facts)))


def test_where_nothing_is_wrong_there_is_no_problem() -> None:
    assert found() == []


@pytest.mark.parametrize(
    ("facts", "subject", "word"),
    [
        ({"connector": ConnectorStatus("orders", "PAUSED", "", RUNNING.tasks)}, "connector", "PAUSED"),
        ({"connector": ConnectorStatus("orders", "RUNNING", "", ())}, "connector", "no tasks"),
        ({"connector": ConnectUnavailable("no answer")}, "connector", "no answer"),
        ({"slot": None}, "slot", "does not exist"),
        ({"generations": ModelGenerations(None, {1: Record()})}, "redis", "no generation is live"),
        ({"generations": ModelGenerations(1, {})}, "redis", "generation 1 is live, and gone"),
        ({"generations": StoreUnavailable("refused")}, "redis", "refused"),
        ({"lag": Lag((PartitionLag("t", 0, 1, 2, 1),), 31.0), "max_staleness_s": 30.0}, "redis", "31 s"),
        ({"slot": ZeroDivisionError("a fault of ours")}, "slot", "not looked at: ZeroDivisionError"),
    ],
)
def test_what_is_wrong_is_told_once_with_its_remedy(facts: dict[str, Any], subject: str, word: str) -> None:
    [problem] = found(**facts)
    assert problem.subject == subject
    assert word in problem.problem
    assert problem.remedy.endswith(".")


def test_a_check_is_added_by_one_entry_in_the_list(monkeypatch: pytest.MonkeyPatch) -> None:
    def dead_letters(_: Observation) -> Iterator[Problem]:
        yield Problem("dead letters", "2 records are parked", "Run `readmodels dlq list`.")

    monkeypatch.setattr(checks, "DEPLOYMENT_CHECKS", (*checks.DEPLOYMENT_CHECKS, ("dead letters", dead_letters)))
    assert [problem.subject for problem in found()] == ["dead letters"]
