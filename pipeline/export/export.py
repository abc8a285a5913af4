"""`export`: tables and histories of DuckDB as Parquet, each run adding what is new since the one before."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from functools import partial

from pipeline import read_models
from pipeline.config import Settings
from pipeline.export.history_sql import SCRIPT, script
from pipeline.export.manifest import NOTHING, ExportDiffers, Extract, File, Manifest, Origin
from pipeline.export.parquet import Tell, published
from pipeline.export.target import Place
from pipeline.postgres.database import connect
from pipeline.postgres.watermark import Mark, Marks
from pipeline.verify.catch_up import Arrival
from pipeline.verify.readers.duckdb import DuckdbShown, duckdb_shown
from sinks.batch import Shard
from sinks.duckdb.history import history_name
from sinks.duckdb.stable_scan import Extent, day_name, extent_of, extent_query
from sinks.duckdb.store import catalog
from sinks.errors import GenerationMissing
from sinks.shape import RowShape

BATCH_ROWS = 50_000

OpenPlace = Callable[[str], AbstractContextManager[Place]]
"""Opens the place of one table or history."""


class NoSuchTable(ValueError):
    """There is no table, and no history, of this name."""

    remedy = "Name tables of readmodels.toml, as `orders`, or their histories, as `orders_history`."


@dataclass(frozen=True)
class Exported:
    """What became of one table.

    Args:
        added, added_rows: files that this run wrote, and the rows in them.
        removed: files that nobody needs any more.
    """

    manifest: Manifest
    added: int
    added_rows: int
    removed: int


@dataclass(frozen=True)
class _Asked:
    """A name under which something is exported, and the rows that it is made of."""

    name: str
    shape: RowShape
    topic: str


def export(
    names: Sequence[str], to: OpenPlace, settings: Settings, timeout_s: float | None, tell: Callable[[str], Tell]
) -> Iterator[Exported]:
    """Export tables and histories as of one moment, one after the other.

    Args:
        to: opens the place of each.
        timeout_s: how long the model may take to reach a mark that is set now; None for what it holds, without a mark.
        tell: is told a name, and answers with what is told its rows.

    Raises:
        NoSuchTable: a name is neither a table nor a history.
        ExportDiffers: what is there cannot be added to.
        ExportedMeanwhile: somebody else exports it.
        PlaceUnavailable: the place cannot be read or written.
        ModelBehind, MarkNotSeen: the mark was not reached in time.
        GenerationMissing: there is no DuckDB model yet.
    """
    with duckdb_shown(settings) as shown:
        reach = partial(_reached, shown, settings, timeout_s)
        yield from export_shown(shown, names, to, settings, reach, tell)


def export_shown(
    shown: DuckdbShown,
    names: Sequence[str],
    to: OpenPlace,
    settings: Settings,
    reach: Callable[[], Mark | None],
    tell: Callable[[str], Tell],
) -> Iterator[Exported]:
    """Export from a store that is open.

    Args:
        reach: returns once the model holds everything before a mark; see `export` for the others.
    """
    generation = shown.store.live()
    if generation is None:
        raise GenerationMissing("no generation of duckdb is live")
    made_of = read_models.settings_of(shown.store.generations()[generation], settings)
    asked = [_asked(name, made_of) for name in names]
    mark = reach()
    extent = _extent(shown, generation, list(made_of.tables), settings.duckdb.time_zone)
    for one in asked:
        extract = _extract(shown, extent, generation, one, mark)
        with to(one.name) as place:
            yield _Run(shown, extent, place, one, extract, tell(one.name)).carry_out()


def _asked(name: str, settings: Settings) -> _Asked:
    topics = {table: topic for topic, table in settings.contract.topics.items()}
    for shape in settings.contract.row_shapes():
        if name in (shape.table, history_name(shape.table)):
            return _Asked(name, shape, topics[shape.table])
    raise NoSuchTable(f"there is no table {name!r}")


def _reached(shown: DuckdbShown, settings: Settings, timeout_s: float | None) -> Mark | None:
    """Set a mark, and wait until the model holds everything before it; None where nobody wants to wait."""
    if timeout_s is None:
        return None
    marks = Marks(settings.kafka, settings.connector, settings.connect.url, settings.contract.topics)
    with ExitStack() as open_ones:
        arrival = Arrival(marks, open_ones.enter_context(connect(settings.source.url)), timeout_s)
        mark = arrival.mark()
        arrival.wait("duckdb", shown, arrival.ends(mark), lambda _: None)
        return mark


def _extent(shown: DuckdbShown, generation: int, tables: Sequence[str], time_zone: str) -> Extent:
    name = catalog(generation)
    return extent_of(shown.ask(extent_query(name, tables)), name, tables, time_zone)


def _extract(shown: DuckdbShown, extent: Extent, generation: int, asked: _Asked, mark: Mark | None) -> Extract:
    newest = extent.place.newest
    [(fences,)] = shown.ask(extent.fences_of(asked.shape)).fetchall()
    return Extract(
        generation=generation,
        mark=None if mark is None else {"lsn": printed_lsn(mark.lsn), "set_at": mark.set_at.isoformat()},
        newest=None if newest is None else newest.isoformat(),
        offsets={shard: offset for shard, offset in extent.place.offsets.items() if shard[0] == asked.topic},
        version_count=extent.versions[asked.shape.table],
        fence_count=extent.fences,
        fences=json.loads(fences),
    )


def printed_lsn(lsn: int) -> str:
    """An LSN as PostgreSQL prints it."""
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"


@dataclass(frozen=True)
class _Run:
    """One table's part of a run."""

    shown: DuckdbShown
    extent: Extent
    place: Place
    asked: _Asked
    extract: Extract
    tell: Tell

    def carry_out(self) -> Exported:
        """Write what is new, then the manifest that lists it, then remove what nobody needs any more."""
        origin = Origin.of(self.asked.name, self.asked.shape, self.extent.time_zone)
        written = self.place.manifest()
        before = Manifest(origin=origin, extract=NOTHING) if written is None else Manifest.from_json(written.content)
        before.require(origin, self.extract)
        holds_versions = origin.holds == "versions"
        files = self._versions(before) if holds_versions else self._rows(before)
        after = before.followed_by(self.extract, files)
        if holds_versions:
            self._require_whole(after)
            self._publish_script()
        self.place.replace_manifest(after.to_json(), written)
        known = {file.name for file in before.files}
        added = [file for file in files if file.name not in known]
        return Exported(after, len(added), sum(file.rows for file in added), self.place.remove_others(after.names))

    def _versions(self, before: Manifest) -> list[File]:
        begin = {partition: before.extract.offsets.get((topic, partition), 0) for topic, partition in self._shards}
        added = self._published(self.extent.added(self.asked.shape, begin), is_kept=True)
        return added + self._published(self.extent.repairs(self.asked.shape), is_kept=False)

    def _rows(self, before: Manifest) -> list[File]:
        if before.extract.is_as(self.extract):
            return list(before.files)
        return self._published(self.extent.rows(self.asked.shape), is_kept=False)

    def _published(self, query: str, *, is_kept: bool) -> list[File]:
        rows = self.shown.ask(query).to_arrow_reader(BATCH_ROWS)
        return published(rows, day_name(self.asked.shape), self.place, is_kept=is_kept, tell=self.tell)

    def _require_whole(self, after: Manifest) -> None:
        """A generation that was made of another log, or of a snapshot of its own, may hold other versions."""
        listed, held = sum(file.rows for file in after.kept), self.extent.placed[self.asked.shape.table]
        if listed != held:
            raise ExportDiffers(f"{self.asked.name} would list {listed} versions, and the live generation holds {held}")

    def _publish_script(self) -> None:
        pending = self.place.staging / SCRIPT
        pending.write_text(script(self.asked.name, self.asked.shape))
        self.place.publish(pending, SCRIPT)

    @property
    def _shards(self) -> list[Shard]:
        return list(self.extract.offsets)
