"""Tests of DuckDB against the table of cases, change by change and all at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing

import pyarrow as pa
import pytest

from sinks.batch import HISTORY_COLUMNS, Batch, Mutations
from sinks.duckdb.store import DuckdbStore
from sinks.ordering.columns import ORDER_COLUMNS
from sinks.shape import RowShape
from tests.unit.sinks.ordering.cases import CASES, SCOPE, Case, Side, Sided

SHAPE = RowShape(SCOPE, ("id",), {"id": "bigint", "image": "text"})
SCHEMA = pa.schema([*ORDER_COLUMNS, *HISTORY_COLUMNS, ("id", pa.int64()), ("image", pa.string())])


class Shelf:
    """One store, in which every attempt gets its own generation."""

    def __init__(self, store: DuckdbStore) -> None:
        self._store = store
        self._generation = 0

    def holding(self, batches: Sequence[Batch]) -> tuple[list[str], list[bool]]:
        """Return the images that a generation shows after these batches.

        The second list says of each stored row whether it is from a snapshot.
        """
        self._generation += 1
        sink = self._store.sink(self._generation)
        sink.prepare()
        for batch in batches:
            sink.write(batch)
        with self._store.connection(self._generation) as connection:
            shown = connection.execute(f"SELECT image FROM {SCOPE}").fetchall()
            kept = connection.execute(f"SELECT _is_snapshot FROM registers.{SCOPE} ORDER BY ALL").fetchall()
        self._store.drop(self._generation)
        return [image for (image,) in shown], [is_snapshot for (is_snapshot,) in kept]


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    with closing(DuckdbStore(tmp_path_factory.mktemp("shelf"), [SHAPE])) as store:
        yield Shelf(store)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_row_in_duckdb_is_as_in_its_case(shelf: Shelf, case: Case) -> None:
    one_by_one = [
        *(Batch((changes_of([each]),)) for each in case.changes),
        *(Batch(range_tombstones=(f,)) for f in case.range_tombstones),
    ]
    expected = ([case.shown] if case.shown else [], [side is Side.SNAPSHOT for side in case.kept])
    assert shelf.holding(one_by_one) == expected
    assert shelf.holding(one_by_one[::-1]) == expected
    assert shelf.holding([Batch((changes_of(case.changes),), case.range_tombstones)]) == expected


def changes_of(several: Sequence[Sided]) -> Mutations:
    """Return changes of the one row, in the form that DuckDB receives."""
    rows = [
        {
            **{f"_{name}": value for name, value in change._asdict().items() if name != "image"},
            "_is_snapshot": side is Side.SNAPSHOT,
            "id": 1,
            "image": change.image,
        }
        for side, change in several
    ]
    return Mutations(SCOPE, pa.Table.from_pylist(rows, schema=SCHEMA))
