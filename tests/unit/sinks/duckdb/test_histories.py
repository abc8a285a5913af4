"""Tests that DuckDB's history is the source's whenever the log is complete, for any history, fault and delivery."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from datetime import datetime
from itertools import chain
from typing import NamedTuple

import pytest
from hypothesis import given, settings

from sinks.batch import Batch
from sinks.duckdb.store import DuckdbStore
from tests.model_based.batches import ROW_SHAPES, row_batch
from tests.model_based.database import Image, Row
from tests.model_based.scenario import Scenario, scenarios


class Version(NamedTuple):
    """One line of a history."""

    row: Row
    image: Image
    valid_from: datetime
    valid_to: datetime | None
    op: str


class Told(NamedTuple):
    """The history of all tables that readers see."""

    history: list[Version]
    rows: Mapping[Row, Image]

    def at(self, moment: datetime) -> dict[Row, Image]:
        """Return the rows that are valid at a moment."""
        valid = [
            version
            for version in self.history
            if version.valid_from <= moment and (version.valid_to is None or moment < version.valid_to)
        ]
        assert len({version.row for version in valid}) == len(valid), "a row has two versions at one moment"
        return {version.row: version.image for version in valid}


class Shelf:
    """One store, in which every delivery gets its own generation, so that examples are cheap."""

    def __init__(self, store: DuckdbStore) -> None:
        self._store = store
        self._generation = 0

    def told(self, batches: Iterable[Batch]) -> Told:
        """Return the history of a new generation after these batches."""
        self._generation += 1
        sink = self._store.sink(self._generation)
        sink.prepare()
        for batch in batches:
            sink.write(batch)
        told = self._read()
        self._store.drop(self._generation)
        return told

    def _read(self) -> Told:
        history: list[Version] = []
        rows: dict[Row, Image] = {}
        with self._store.connection(self._generation) as connection:
            for shape in ROW_SHAPES:
                query = f"SELECT id, value, order_id, valid_from, valid_to, op FROM {shape.table}_history ORDER BY ALL"
                for key, value, parent, *facts in connection.execute(query).fetchall():
                    history.append(Version(Row(shape.table, key), Image(value, parent), *facts))
                for key, value, parent in connection.execute(
                    f"SELECT id, value, order_id FROM {shape.table}"
                ).fetchall():
                    rows[Row(shape.table, key)] = Image(value, parent)
        return Told(history, rows)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    with closing(DuckdbStore(tmp_path_factory.mktemp("shelf"), ROW_SHAPES)) as store:
        yield Shelf(store)


def without(rows: Mapping[Row, Image], unknown: set[Row]) -> dict[Row, Image]:
    """Return the rows for which the log was complete."""
    return {row: image for row, image in rows.items() if row not in unknown}


@settings(max_examples=settings().max_examples // 12)
@given(scenario=scenarios())
def test_the_history_equals_the_source_at_every_time(shelf: Shelf, scenario: Scenario) -> None:
    told = shelf.told(map(row_batch, chain(*scenario.delivery)))
    unknown = {record.row for record in scenario.history.parked}
    for moment, rows in scenario.history.states.items():
        assert without(told.at(moment), unknown) == without(rows, unknown), f"at {moment}"


@settings(max_examples=settings().max_examples // 24)
@given(scenario=scenarios())
def test_the_open_versions_are_the_rows_and_a_replay_leaves_every_version_as_it_was(
    shelf: Shelf, scenario: Scenario
) -> None:
    told = shelf.told(map(row_batch, chain(*scenario.delivery)))
    assert {version.row: version.image for version in told.history if version.valid_to is None} == told.rows
    rebuilt = shelf.told(map(row_batch, chain(*scenario.replay, *scenario.delivery)))
    assert rebuilt == told
