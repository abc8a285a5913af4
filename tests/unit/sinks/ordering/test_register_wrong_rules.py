"""Tests that the property tests detect every wrong rule: each has a history with a wrong result."""

from __future__ import annotations

import pytest
from hypothesis import Phase, find, given, settings

from tests.model_based.projection import ROWS
from tests.model_based.readmodel import Rule, read_model
from tests.model_based.scenario import Scenario, scenarios
from tests.support.profiles import times
from tests.unit.sinks.ordering.wrong_rules import WRONG, Wrong, two_sides

GENERATE_ONLY = settings(
    max_examples=2_000, phases=[Phase.generate], derandomize=True, database=None, report_multiple_bugs=False
)


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: wrong.name)
def test_a_wrong_rule_meets_a_history_that_it_gets_wrong(wrong: Wrong) -> None:
    def is_wrong(scenario: Scenario) -> bool:
        model = read_model(scenario.delivery, wrong.projection, wrong.rule)
        return model.visible() != wrong.projection.of(scenario.history.rows)

    assert is_wrong(find(scenarios(), is_wrong, settings=GENERATE_ONLY))


@times(1)
@given(scenario=scenarios())
def test_the_pieces_of_which_wrong_rules_are_made_make_the_right_one_too(scenario: Scenario) -> None:
    assembled = read_model(scenario.delivery, ROWS, two_sides())
    assert assembled.visible() == read_model(scenario.delivery, ROWS, Rule()).visible()
