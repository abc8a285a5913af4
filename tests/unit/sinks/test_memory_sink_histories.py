"""Tests that `MemorySink` converges, too: whole batches, through Arrow, as rows and as documents."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from itertools import chain

from hypothesis import given

from sinks.batch import Batch
from sinks.memory import MemoryGeneration, MemoryStore
from sinks.ordering.document import Parts, is_visible, merge, render
from sinks.shape import Shape
from tests.model_based.batches import DOCUMENT, ROW_SHAPES, columns, part_batch, row_batch
from tests.model_based.database import Image, Row
from tests.model_based.delivery import Arrivals
from tests.model_based.readmodel import versions
from tests.model_based.scenario import Scenario, scenarios
from tests.support.profiles import times

GENERATION = 1


@times(4)
@given(scenario=scenarios())
def test_rows_in_memory_equal_the_source(scenario: Scenario) -> None:
    written = written_by(chain(*scenario.delivery), row_batch, ROW_SHAPES)
    shown = {name: register.visible for name, register in written.registers.items()}
    assert {name: change.image for name, change in shown.items() if change and not change.deleted} == {
        (row.table, row.key): columns(row, image) for row, image in scenario.history.rows.items()
    }


@times(4)
@given(scenario=scenarios())
def test_documents_merged_from_two_workers_equal_the_source(scenario: Scenario) -> None:
    one, other = (written_by(batches, part_batch, [DOCUMENT]) for batches in scenario.delivery)
    range_tombstones = one.range_tombstones.merge(other.range_tombstones)
    here, there = parts_by_key(one), parts_by_key(other)
    documents = {
        key: merge(here.get(key, {}), there.get(key, {}), range_tombstones, DOCUMENT.name) for key in here | there
    }
    rendered = {key: render(parts, DOCUMENT) for key, parts in documents.items()}
    assert {key for key, text in rendered.items() if text} == {key for key in documents if is_visible(documents[key])}
    shown = {key: json.loads(text) for key, text in rendered.items() if text}
    assert shown == documents_of(scenario.history.rows)


@times(2)
@given(scenario=scenarios())
def test_replaying_into_memory_changes_nothing(scenario: Scenario) -> None:
    once = written_by(chain(*scenario.delivery), part_batch, [DOCUMENT])
    twice = written_by(chain(*scenario.delivery, *scenario.replay), part_batch, [DOCUMENT])
    assert versions(twice.registers) == versions(once.registers)


def written_by(
    deliveries: Iterable[Arrivals], batch: Callable[[Arrivals], Batch], shapes: Iterable[Shape]
) -> MemoryGeneration:
    """Return a generation after every batch is written."""
    store = MemoryStore(shapes)
    sink = store.sink(GENERATION)
    sink.prepare()
    for arrivals in deliveries:
        sink.write(batch(arrivals))
    return store.held[GENERATION]


def parts_by_key(generation: MemoryGeneration) -> dict[str, Parts]:
    """Return the parts of every document."""
    documents: dict[str, Parts] = {}
    for (_, key, part), register in generation.registers.items():
        documents.setdefault(str(key), {})[str(part)] = register
    return documents


def documents_of(source: Mapping[Row, Image]) -> dict[str, dict[str, object]]:
    """Return the documents of the source's rows: every order, with the items that refer to it."""
    rows = sorted(source.items())
    return {
        str(order.key): {
            **columns(order, fields),
            "items": [columns(row, image) for row, image in rows if image.parent == order.key],
        }
        for order, fields in rows
        if order.table == "orders"
    }
