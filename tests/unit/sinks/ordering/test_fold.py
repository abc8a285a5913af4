"""Tests that the rule over Arrow tables gives the same as merging one change at a time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from sinks.ordering.fold import compact, document_pages, iter_registers, resolve
from sinks.ordering.register import Change, Register, merge_registers
from tests.model_based.batches import DOCUMENT, image, part, part_table
from tests.model_based.projection import Sided, part_changes
from tests.model_based.readmodel import register_of
from tests.model_based.scenario import Scenario, scenarios
from tests.support.profiles import times

Named = dict[tuple[object, ...], Register]
"""Registers by document and part."""


@times(3)
@given(scenario=scenarios())
def test_the_registers_of_a_table_join_to_those_of_its_changes(scenario: Scenario) -> None:
    changes = list(part_changes(scenario.history.records))
    folded = registers_in(part_table(changes))
    assert {name: merge_registers(register) for name, register in folded.items()} == joined(changes)


@times(3)
@given(scenario=scenarios())
def test_a_table_resolves_to_the_registers_that_merging_leaves(scenario: Scenario) -> None:
    changes = list(part_changes(scenario.history.records))
    settled = resolve(compact(part_table(changes), DOCUMENT.register_key), DOCUMENT.register_key)
    assert registers_in(settled) == joined(changes)


@times(3)
@given(scenario=scenarios())
def test_a_table_shows_the_version_that_readers_see(scenario: Scenario) -> None:
    changes = list(part_changes(scenario.history.records))
    settled = resolve(compact(part_table(changes), DOCUMENT.register_key), DOCUMENT.register_key)
    seen = registers_in(settled.filter(settled["_shown"]))
    assert {name: tuple(filter(None, register)) for name, register in seen.items()} == {
        name: (register.visible,) for name, register in joined(changes).items()
    }


@times(3)
@given(scenario=scenarios(), count=st.integers(1, 4))
def test_every_change_of_a_document_is_on_one_page_of_few_documents(scenario: Scenario, count: int) -> None:
    folded = compact(part_table(list(part_changes(scenario.history.records))), DOCUMENT.register_key)
    pages = list(document_pages(folded, count))
    documents = [set(page["key"].to_pylist()) for page in pages]
    assert all(0 < len(some) <= count for some in documents)
    assert sum(map(len, documents)) == len(set(folded["key"].to_pylist()))
    assert sum(page.num_rows for page in pages) == folded.num_rows
    assert {name: part for page in pages for name, part in registers_in(page).items()} == registers_in(folded)


def registers_in(table: pa.Table) -> Named:
    """Return the changes of a table, as registers."""
    return dict(iter_registers(table, DOCUMENT.register_key, ["image"]))


def joined(changes: Sequence[Sided]) -> Named:
    """Return the same, merged one by one."""
    told: dict[tuple[object, ...], list[Register]] = defaultdict(list)
    for change in changes:
        written: Change = change.change._replace(image=image(change))
        told[str(change.name.order), part(change.name)].append(register_of(change._replace(change=written)))
    return {name: merge_registers(*registers) for name, registers in told.items()}
