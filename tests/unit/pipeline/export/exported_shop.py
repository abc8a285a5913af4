"""A shop whose history grows, and the contents of its exports."""

from __future__ import annotations

import functools
import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import duckdb

from pipeline.config import DuckdbSettings, Settings, load
from pipeline.export.export import ExportResult, OpenTarget, export_from
from pipeline.verify.readers.duckdb import DuckdbReader
from sinks.batch import OffsetRange
from sinks.duckdb.store import DuckdbStore
from sinks.ordering.range_tombstone import RangeTombstone
from tests.remedies.shell import SETTINGS, SHIPPED
from tests.unit.pipeline.query.test_analytics import ORDERS, shapes
from tests.unit.sinks.ordering.row_changes import Change, batch, repaired, truncate

PARTITIONS = 2
GENERATIONS = (1, 2)
HALF_DAY_US = 12 * 3600 * 1_000_000
BORN = {"customer_id": 7, "status": "pending", "currency": "EUR", "total": "12.30", "created_at": 0, "updated_at": 0}

Rows = list[tuple[Any, ...]]


def settings_of(directory: Path, time_zone: str = "UTC") -> Settings:
    """Return settings of the shipped definitions, with DuckDB in a directory; the servers do not exist."""
    given: dict[str, Any] = {}
    for name, value in SETTINGS.items():
        section, _, setting = name.lower().partition("__")
        given.setdefault(section, {})[setting] = value
    return load(SHIPPED, given, {"duckdb": DuckdbSettings(directory=directory, time_zone=time_zone)})


@dataclass
class Shop:
    """Orders in two generations of DuckDB from the same log; the first is live.

    Args:
        directory: directory of DuckDB's files.
    """

    directory: Path
    chance: random.Random
    settings: Settings = field(init=False)
    store: DuckdbStore = field(init=False)
    _lsn: int = 0
    _offsets: list[int] = field(default_factory=lambda: [0] * PARTITIONS)
    _told: list[Change] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.settings = settings_of(self.directory)
        self.store = DuckdbStore(self.directory, shapes())
        for generation in GENERATIONS:
            self.store.sink(generation).prepare()
        self.cutover(1)

    def close(self) -> None:
        """Close the files."""
        self.store.close()

    def go_on(self, count: int = 12) -> None:
        """Write more changes: orders are inserted, updated, deleted, repeated, and sometimes all truncated."""
        changes = [self._change() for _ in range(count)]
        range_tombstones = [truncate("orders", self._later(), self._lsn + 1)] if self.chance.random() < 0.15 else []
        self._write(changes, range_tombstones, GENERATIONS)

    def repair(self, **row: Any) -> None:
        """Write a repair as `verify --repair` does: into the live generation, and into no log."""
        self._write([repaired(self._later(), **{**BORN, **row})], [], [1])

    def cutover(self, generation: int) -> None:
        """Cut over to a generation."""
        self.store.sink(generation).cutover()

    def held(self, query: str = "FROM orders_history ORDER BY ALL") -> Rows:
        """Return the answer to a query, as the model's own readers get it."""
        return list(self.store.instance().cursor().execute(query).fetchall())

    def export(self, to: OpenTarget, *names: str) -> list[ExportResult]:
        """Export the current contents, without a watermark."""
        with self.store.instance().cursor() as cursor:
            shown = DuckdbReader((), self.store, None, cursor.execute)
            asked = names or ("orders_history",)
            return list(export_from(shown, asked, to, self.settings, lambda: None, lambda _name: lambda _rows: None))

    def _write(
        self, changes: Sequence[Change], range_tombstones: Sequence[RangeTombstone], generations: Sequence[int]
    ) -> None:
        end = {(f"cdc.public.{ORDERS.table}", partition): offset for partition, offset in enumerate(self._offsets)}
        written = replace(batch(ORDERS, changes, range_tombstones), span=OffsetRange({}, end))
        for generation in generations:
            self.store.sink(generation).write(written)

    def _change(self) -> Change:
        if self._told and self.chance.random() < 0.15:
            again = self.chance.choice(self._told)
            return replace(again, offset=self._next_offset(again.partition))
        key = self.chance.randint(1, 9)
        at = (self._later(), self._lsn + 1)
        row = {**BORN, "id": key, "status": self.chance.choice(("pending", "paid"))}
        is_deleted = self.chance.random() < 0.2
        partition = key % PARTITIONS
        offset = self._next_offset(partition)
        change = Change(at, {"id": key} if is_deleted else row, "d" if is_deleted else "u", offset, partition)
        self._told.append(change)
        return change

    def _later(self) -> int:
        """Return the next LSN, which also serves as the commit time here."""
        self._lsn += self.chance.randrange(2, HALF_DAY_US)
        return self._lsn

    def _next_offset(self, partition: int) -> int:
        self._offsets[partition] += 1
        return self._offsets[partition] - 1


def shown(folder: Path, name: str = "orders_history") -> Rows:
    """Return the rows listed in an exported history's manifest, as the export's own script shows them."""
    with _reader().cursor() as connection:
        connection.execute(f"SET VARIABLE export = '{folder / name}'")
        connection.execute((folder / name / "history.sql").read_text())
        return list(connection.execute(f"FROM {name} ORDER BY ALL").fetchall())


@functools.cache
def _reader() -> duckdb.DuckDBPyConnection:
    """Return a plain DuckDB connection, cached because creating one takes longer than reading."""
    return duckdb.connect()
