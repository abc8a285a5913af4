"""Tests that read models converge with any interleaving of events, and never go back on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import count

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from sinks.duckdb.store import DuckdbStore
from tests.model_based.batches import ROW_SHAPES
from tests.model_based.readmodel import Rule
from tests.model_based.sink_adapter import Duckdb, Memory
from tests.model_based.sink_model import Pure, Target
from tests.model_based.state_machine import Convergence
from tests.support.profiles import times
from tests.unit.sinks.ordering.wrong_rules import WRONG

STEPS = 25

SIMPLER = (
    "the LSN alone orders",
    "the sequence alone orders, snapshot rows like streamed changes",
    "the offset alone orders",
    "a missing last commit is the lowest",
    "snapshots are not swept",
    "a batch is folded to the last change of every row",
    "records are folded before they fan out to documents",
)
"""Rules that would be simpler, but are wrong; `test_register_wrong_rules.py` has more."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckdbStore]:
    with closing(DuckdbStore(tmp_path_factory.mktemp("shelf"), ROW_SHAPES)) as opened:
        yield opened


def run(open_target: Callable[[], Target], how: settings) -> None:
    """Run the state machine, with as many examples as the settings say."""
    how = settings(how, stateful_step_count=STEPS, suppress_health_check=[HealthCheck.too_slow])

    class Machine(Convergence):
        def __init__(self) -> None:
            super().__init__(open_target)

    run_state_machine_as_test(Machine, settings=how)


def test_a_read_model_converges_with_any_interleaving() -> None:
    run(lambda: Pure(Rule()), times(50))


def test_the_memory_sink_converges_with_any_interleaving() -> None:
    run(Memory, times(1))


def test_duckdb_converges_with_any_interleaving(store: DuckdbStore) -> None:
    generations = count(1)

    def open_target() -> Duckdb:
        generation = next(generations)
        store.drop(generation - 1)
        return Duckdb(store, generation)

    run(open_target, settings(max_examples=settings().max_examples // 10))


@pytest.mark.parametrize("name", SIMPLER)
def test_a_simpler_rule_does_not_converge(name: str) -> None:
    (wrong,) = (each for each in WRONG if each.name == name)
    generate_only = settings(
        max_examples=5_000, phases=[Phase.generate], derandomize=True, database=None, deadline=None
    )
    with pytest.raises(AssertionError):
        run(lambda: Pure(wrong.rule, wrong.projection), settings(generate_only, report_multiple_bugs=False))
