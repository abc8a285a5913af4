"""Export of DuckDB's tables and histories as Parquet. Each run adds the changes since the run before it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from functools import partial

from pipeline import read_models
from pipeline.config import Settings
from pipeline.export.history_sql import SCRIPT, history_sql
from pipeline.export.manifest import EMPTY_RANGE, ExportDiffers, ExportedFile, ExportedRange, ExportSource, Manifest
from pipeline.export.parquet import Tell, write_partitions
from pipeline.export.target import ExportTarget
from pipeline.postgres.database import connect
from pipeline.postgres.watermark import Watermark, Watermarks
from pipeline.stores.duckdb.read_model import DUCKDB
from pipeline.verify.catch_up import CatchUp
from pipeline.verify.readers.duckdb import DuckdbReader, open_duckdb_reader
from sinks.batch import TopicPartition
from sinks.duckdb.history import history_name
from sinks.duckdb.stable_scan import StableScan, day_name, parse_scan, scan_query
from sinks.duckdb.store import catalog_name
from sinks.errors import GenerationMissing
from sinks.shape import RowShape

BATCH_ROWS = 50_000

OpenTarget = Callable[[str], AbstractContextManager[ExportTarget]]
"""Function that opens the target of one table or history."""


class NoSuchTable(ValueError):
    """No table and no history has this name."""

    remedy = "Name tables of readmodels.toml, as `orders`, or their histories, as `orders_history`."


@dataclass(frozen=True)
class ExportResult:
    """Result of the export of one table.

    Args:
        added, added_rows: files that this run wrote, and the rows in them.
        removed: number of files that were removed because no manifest needs them.
    """

    manifest: Manifest
    added: int
    added_rows: int
    removed: int


@dataclass(frozen=True)
class _TableExport:
    """Exported table or history, with the shape and the topic of its rows."""

    name: str
    shape: RowShape
    topic: str


def export(
    names: Sequence[str], to: OpenTarget, settings: Settings, timeout_s: float | None, tell: Callable[[str], Tell]
) -> Iterator[ExportResult]:
    """Export tables and histories as of one moment, one after the other.

    Args:
        to: opens the target of each.
        timeout_s: how long the model may take to reach a watermark written now; None to export its current rows without
            a watermark.
        tell: returns the callback for the rows of a table, given its name.

    Raises:
        NoSuchTable: a name is neither a table nor a history.
        ExportDiffers: the existing export cannot be continued.
        ConcurrentExport: another process exports the same table.
        TargetUnavailable: the target cannot be read or written.
        CatchUpTimeout, WatermarkTimeout: the watermark was not reached in time.
        GenerationMissing: there is no DuckDB model yet.
    """
    with open_duckdb_reader(settings) as shown:
        reach = partial(_reached, shown, settings, timeout_s)
        yield from export_from(shown, names, to, settings, reach, tell)


def export_from(
    shown: DuckdbReader,
    names: Sequence[str],
    to: OpenTarget,
    settings: Settings,
    reach: Callable[[], Watermark | None],
    tell: Callable[[str], Tell],
) -> Iterator[ExportResult]:
    """Export from an open store.

    Args:
        reach: waits until the model holds everything before a watermark. See `export` for the other arguments.
    """
    generation = shown.store.live()
    if generation is None:
        raise GenerationMissing("no generation of duckdb is live")
    made_of = read_models.settings_for(shown.store.generations()[generation], settings)
    asked = [_asked(name, made_of) for name in names]
    watermark = reach()
    extent = _extent(shown, generation, list(made_of.tables), settings.duckdb.time_zone)
    for one in asked:
        extract = _extract(shown, extent, generation, one, watermark)
        with to(one.name) as place:
            yield _Run(shown, extent, place, one, extract, tell(one.name)).carry_out()


def _asked(name: str, settings: Settings) -> _TableExport:
    topics = {table: topic for topic, table in settings.definitions.topics.items()}
    for shape in settings.definitions.row_shapes():
        if name in (shape.table, history_name(shape.table)):
            return _TableExport(name, shape, topics[shape.table])
    raise NoSuchTable(f"there is no table {name!r}")


def _reached(shown: DuckdbReader, settings: Settings, timeout_s: float | None) -> Watermark | None:
    """Write a watermark and wait until the model holds everything before it; return None if there is no timeout."""
    if timeout_s is None:
        return None
    watermarks = Watermarks(settings.kafka, settings.connector, settings.connect.url, settings.definitions.topics)
    with ExitStack() as open_ones:
        arrival = CatchUp(watermarks, open_ones.enter_context(connect(settings.source.url)), timeout_s)
        watermark = arrival.set_watermark()
        arrival.wait(DUCKDB.name, shown, arrival.end_offsets(watermark), lambda _: None)
        return watermark


def _extent(shown: DuckdbReader, generation: int, tables: Sequence[str], time_zone: str) -> StableScan:
    name = catalog_name(generation)
    return parse_scan(shown.ask(scan_query(name, tables)), name, tables, time_zone)


def _extract(
    shown: DuckdbReader, extent: StableScan, generation: int, asked: _TableExport, watermark: Watermark | None
) -> ExportedRange:
    newest = extent.position.newest
    [(range_tombstones,)] = shown.ask(extent.range_tombstones_of(asked.shape)).fetchall()
    return ExportedRange(
        generation=generation,
        mark=None if watermark is None else {"lsn": format_lsn(watermark.lsn), "set_at": watermark.set_at.isoformat()},
        newest=None if newest is None else newest.isoformat(),
        offsets={
            topic_partition: offset
            for topic_partition, offset in extent.position.offsets.items()
            if topic_partition[0] == asked.topic
        },
        version_count=extent.versions[asked.shape.table],
        fence_count=extent.range_tombstones,
        fences=json.loads(range_tombstones),
    )


def format_lsn(lsn: int) -> str:
    """Format an LSN as PostgreSQL prints it."""
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"


@dataclass(frozen=True)
class _Run:
    """Export run of one table."""

    shown: DuckdbReader
    extent: StableScan
    place: ExportTarget
    asked: _TableExport
    extract: ExportedRange
    tell: Tell

    def carry_out(self) -> ExportResult:
        """Write new rows, then the manifest that lists them, then remove files that no manifest needs."""
        origin = ExportSource.of(self.asked.name, self.asked.shape, self.extent.time_zone)
        written = self.place.manifest()
        before = (
            Manifest(origin=origin, extract=EMPTY_RANGE) if written is None else Manifest.from_json(written.content)
        )
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
        return ExportResult(after, len(added), sum(file.rows for file in added), self.place.prune_files(after.names))

    def _versions(self, before: Manifest) -> list[ExportedFile]:
        begin = {partition: before.extract.offsets.get((topic, partition), 0) for topic, partition in self._shards}
        added = self._published(self.extent.versions_since(self.asked.shape, begin), is_kept=True)
        return added + self._published(self.extent.repairs(self.asked.shape), is_kept=False)

    def _rows(self, before: Manifest) -> list[ExportedFile]:
        if before.extract.covers_same(self.extract):
            return list(before.files)
        return self._published(self.extent.rows(self.asked.shape), is_kept=False)

    def _published(self, query: str, *, is_kept: bool) -> list[ExportedFile]:
        rows = self.shown.ask(query).to_arrow_reader(BATCH_ROWS)
        return write_partitions(rows, day_name(self.asked.shape), self.place, is_kept=is_kept, tell=self.tell)

    def _require_whole(self, after: Manifest) -> None:
        """Check that the manifest lists as many versions as the live generation holds.

        A generation that was filled from another log, or from a snapshot of its own, may hold other versions.
        """
        listed, held = sum(file.rows for file in after.kept), self.extent.logged_versions[self.asked.shape.table]
        if listed != held:
            raise ExportDiffers(f"{self.asked.name} would list {listed} versions, and the live generation holds {held}")

    def _publish_script(self) -> None:
        pending = self.place.staging / SCRIPT
        pending.write_text(history_sql(self.asked.name, self.asked.shape))
        self.place.publish(pending, SCRIPT)

    @property
    def _shards(self) -> list[TopicPartition]:
        return list(self.extract.offsets)
