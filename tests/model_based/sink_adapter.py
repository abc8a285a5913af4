"""Production sinks, with production's projections, as targets of a simulated worker."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence

from sinks.batch import OffsetRange, Progress
from sinks.duckdb.metadata import read_metadata
from sinks.duckdb.store import DuckdbStore
from sinks.memory import MemoryStore
from sinks.ordering.range_tombstone import RangeTombstones
from sinks.ordering.register import EMPTY_REGISTER, Change, Register
from sinks.shape import ROOT, collection_of
from tests.model_based.batches import DOCUMENT, FIRST_PART, ROW_SHAPES
from tests.model_based.database import Image, Row
from tests.model_based.delivery import Arrivals
from tests.model_based.envelopes import projected_parts, projected_rows
from tests.model_based.projection import ROWS, Name
from tests.model_based.readmodel import Rule
from tests.model_based.sink_model import BOTH, Step

GENERATION = 1
PLACE = "_epoch, _commit_lsn, _lsn, _tie, _offset, _partition, _deleted"


class Memory:
    """The reference sink `MemorySink`, once for rows and once for documents."""

    rule = Rule()
    projection = BOTH

    def __init__(self) -> None:
        self._rows, self._documents = MemoryStore(ROW_SHAPES), MemoryStore([DOCUMENT])
        self._sinks = [store.sink(GENERATION) for store in (self._rows, self._documents)]
        for sink in self._sinks:
            sink.prepare()

    def progress(self) -> Progress:
        rows, documents = (sink.progress() for sink in self._sinks)
        return Progress(
            {
                topic_partition: min(offset, documents.next_offset(topic_partition))
                for topic_partition, offset in rows.offsets.items()
            }
        )

    def steps(self, batch: Arrivals, span: OffsetRange) -> Sequence[Step]:
        rows, documents = self._sinks
        return [
            lambda: rows.write(projected_rows(batch, span)),
            lambda: documents.write(projected_parts(batch, span)),
        ]

    def registers(self) -> Mapping[Name, Register]:
        return {
            **{_row(*name): _with_images(kept, _of_columns) for name, kept in self._held(self._rows).items()},
            **{_part(*name): _with_images(kept, _of_text) for name, kept in self._held(self._documents).items()},
        }

    def fences(self) -> RangeTombstones:
        return self._rows.held[GENERATION].range_tombstones

    def _held(self, store: MemoryStore) -> Mapping[tuple[object, ...], Register]:
        return store.held[GENERATION].registers


class Duckdb:
    """The DuckDB sink, in its own generation."""

    rule = Rule()
    projection = ROWS

    def __init__(self, store: DuckdbStore, generation: int) -> None:
        self._store = store
        self._generation = generation
        self._sink = store.sink(generation)
        self._sink.prepare()

    def progress(self) -> Progress:
        return self._sink.progress()

    def steps(self, batch: Arrivals, span: OffsetRange) -> Sequence[Step]:
        return [lambda: self._sink.write(projected_rows(batch, span))]

    def registers(self) -> Mapping[Name, Register]:
        kept: dict[Name, Register] = {}
        shown: dict[Name, Change] = {}
        with self._store.connection(self._generation) as connection:
            for shape in ROW_SHAPES:
                query = f"SELECT id, value, order_id, _is_snapshot, _shown, {PLACE} FROM registers.{shape.table}"
                for key, value, parent, is_snapshot, is_shown, *place in connection.execute(query).fetchall():
                    name = Name(Row(shape.table, key))
                    change = Change(*place)._replace(image=None if place[-1] else Image(value, parent))
                    known = kept.get(name, EMPTY_REGISTER)
                    kept[name] = known._replace(snapshot=change) if is_snapshot else known._replace(streamed=change)
                    if is_shown:
                        shown[name] = change
        assert shown == {name: register.visible for name, register in kept.items()}, "readers see another side"
        return kept

    def fences(self) -> RangeTombstones:
        with self._store.connection(self._generation) as connection:
            return read_metadata(connection).fences


def _row(table: object, key: object) -> Name:
    return Name(Row(str(table), int(str(key))))


def _part(_: object, key: object, part: object) -> Name:
    order = int(str(key))
    if part == ROOT:
        return Name(Row("orders", order), order)
    return Name(Row(collection_of(str(part)), int(str(part).partition("/")[2]) - FIRST_PART), order)


def _with_images(register: Register, image: Callable[[object], Image]) -> Register:
    """Return a register whose images are those of a history."""
    sides = (change and change._replace(image=None if change.deleted else image(change.image)) for change in register)
    return Register(*sides)


def _of_columns(columns: object) -> Image:
    assert isinstance(columns, dict)
    return Image(columns["value"], columns["order_id"])


def _of_text(text: object) -> Image:
    return _of_columns(json.loads(str(text)))
