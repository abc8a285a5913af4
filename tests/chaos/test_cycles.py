"""Tests of a few cycles of `make chaos`, chosen so that every target is hit once."""

from __future__ import annotations

import pytest

from tests.chaos.cycle import Cycles
from tests.chaos.faults import Fault, Kind
from tests.chaos.record import Seen
from tests.support.relays import Disturbance


def hit(target: str, kind: Kind, lasts_s: float = 1.0, **disturbance: object) -> Fault:
    """Return a fault that begins soon."""
    way = Disturbance(**disturbance) if target.startswith("way") else None  # type: ignore[arg-type]
    return Fault(kind=kind, target=target, begins_s=0.5, lasts_s=lasts_s, disturbance=way)


CYCLES = {
    "a killed worker, a zombie, answers lost": [
        hit("worker redis first", Kind.KILL),
        hit("worker elasticsearch second", Kind.STOP, 5.0),
        hit("way to redis", Kind.LOSE, is_deaf=True),
    ],
    "a killed store, a killed writer, connections cut": [
        hit("redis", Kind.KILL),
        hit("worker duckdb first", Kind.KILL),
        hit("way to elasticsearch", Kind.CUT, 2.0, cut_after_bytes=500),
    ],
    "a killed broker, a killed run, a source that refuses": [
        hit("kafka", Kind.KILL),
        hit("run second", Kind.KILL),
        hit("way to postgres", Kind.REFUSE, is_closed=True),
    ],
    "a killed source, a killed connector, a killed registry, a slow way": [
        hit("postgres", Kind.KILL),
        hit("connect", Kind.KILL),
        hit("registry", Kind.KILL),
        hit("way to kafka", Kind.DELAY, 2.0, delay_s=0.1),
    ],
}


def require_right(seen: Seen) -> None:
    """Fail with all differences; records that Debezium lost are not checked here."""
    assert (seen.in_models, seen.gone_back, seen.stopped) == ([], [], [])
    assert seen.records > 0
    assert seen.answers > 0


@pytest.mark.parametrize("number", range(len(CYCLES)), ids=list(CYCLES))
def test_nothing_differs_and_no_version_decreases(cycles: Cycles, number: int) -> None:
    require_right(cycles.run(number, list(CYCLES.values())[number]))


def test_a_store_that_hangs_ends_its_worker_and_the_next_one_catches_up(cycles: Cycles) -> None:
    faults = [
        hit("redis", Kind.STOP, 7.0),
        hit("elasticsearch", Kind.STOP, 3.0),
        hit("connector task", Kind.RESTART, 0.0),
    ]
    seen = cycles.run(len(CYCLES), faults)
    require_right(seen)
    assert seen.hung_calls > 0
