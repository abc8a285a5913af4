"""Property tests of the ordering rule: whatever the faults, read models equal the source.

Each example is a history of transactions, snapshots, repairs and epochs, with any mix of faults at the connector, and
one delivery of its log to two workers: in any order, repeatedly, cut into any batches.
"""

from __future__ import annotations

import pytest
from hypothesis import given

from tests.model_based.projection import DOCUMENTS, ROWS, Projection
from tests.model_based.readmodel import Rule, read_model, versions
from tests.model_based.scenario import Scenario, scenarios
from tests.support.profiles import times

both_forms = pytest.mark.parametrize("form", [ROWS, DOCUMENTS], ids=["rows", "documents"])


@both_forms
@times(10)
@given(scenario=scenarios())
def test_a_read_model_shows_what_the_source_holds_in_any_order_and_grouping(
    form: Projection, scenario: Scenario
) -> None:
    visible = read_model(scenario.delivery, form, Rule()).visible()
    assert visible == form.of(scenario.history.rows)


@both_forms
@times(5)
@given(scenario=scenarios())
def test_replaying_from_offset_zero_changes_nothing(form: Projection, scenario: Scenario) -> None:
    model = read_model(scenario.delivery, form, Rule())
    before = versions(model.registers)
    for batches in scenario.replay:
        for batch in batches:
            model.write(batch, form)
    assert versions(model.registers) == before


@both_forms
@times(5)
@given(scenario=scenarios())
def test_two_deliveries_of_one_log_keep_the_same_versions(form: Projection, scenario: Scenario) -> None:
    one = read_model(scenario.delivery, form, Rule())
    other = read_model(scenario.replay, form, Rule())
    assert versions(one.registers) == versions(other.registers)
