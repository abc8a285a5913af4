"""Detection of deletions without their old row, written to the log while a replica identity was not FULL.

PostgreSQL's catalog shows that a table's row was rewritten, but not why (`pipeline.postgres.source_identity`). So the
part of the log written since the last check is read. An update without its old row stops the workers in any case.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import closing
from datetime import datetime, timedelta

import pyarrow.compute as pc

from connectors.decode.invented_values import lacks_old_row
from connectors.errors import MissingBeforeImage
from connectors.kafka import offsets_at
from connectors.kafka_connect import ConnectClient
from pipeline import read_models
from pipeline.config import Settings
from pipeline.definitions import TableDefinition
from pipeline.ingest.log_reader import read_log
from pipeline.postgres.capture import SourceState
from pipeline.postgres.database import Connection
from pipeline.postgres.watermark import Watermarks, WatermarkTimeout

WATERMARK_TIMEOUT_S = 10.0
CLOCKS_DIFFER_BY = timedelta(minutes=1)
"""Maximum difference by which PostgreSQL's clock may be ahead of the clock that dates the records."""
_REFUSED_BY_CONNECT = "null used for required field"
"""Error with which the connector fails at a deletion if a NOT NULL date, timestamp or array was not logged."""


class OldRows:
    """Check of the old rows in the log of the described tables."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def problems(
        self, connection: Connection, source: SourceState, rewritten: Collection[str], since: datetime
    ) -> list[str]:
        """Return the tables with a deletion without its old row between a moment and now.

        Args:
            rewritten: tables whose catalog row has changed since that moment, each as `schema.table`.

        Raises:
            WatermarkTimeout: the log does not reach up to now yet.
            KafkaUnavailable: the brokers did not answer.
            DependencyUnavailable: the log cannot be read now.
        """
        definitions = self._settings.definitions
        tables = {topic: definitions.tables[name] for topic, name in definitions.topics.items()}
        tables = {topic: table for topic, table in tables.items() if table.source in rewritten}
        if not tables:
            return []
        watermarks = Watermarks(self._settings.kafka, self._settings.connector, self._settings.connect.url, tables)
        try:
            reached = watermarks.wait_for(watermarks.set(connection), WATERMARK_TIMEOUT_S)
        except WatermarkTimeout:
            if self._is_refused_by_connect():
                return [_named(table.source) for table in tables.values()]
            raise
        defaults = {table.table_name: frozenset(table.columns_with_default) for table in source.tables}
        found = self._affected(tables, defaults, since, dict(reached.end_offsets))
        return [_named(name) for name in sorted(set(found))]

    def _affected(
        self,
        tables: dict[str, TableDefinition],
        defaults: dict[str, frozenset[str]],
        since: datetime,
        ends: dict[tuple[str, int], int],
    ) -> Iterator[str]:
        admin = self._settings.kafka.admin()
        starts = {**ends, **offsets_at(admin, tables, since - CLOCKS_DIFFER_BY)}
        decoder = read_models.decoder(self._settings, is_lenient=True)
        for piece in read_log(self._settings.kafka, starts, ends):
            for records in piece.records:
                table = tables[records.topic]
                try:
                    envelopes = decoder.decode(records).envelopes
                except MissingBeforeImage:
                    yield table.source
                    continue
                others = [name for name in table.columns if name not in table.key]
                found = [lacks_old_row(one, table.key, others, defaults[table.source]) for one in envelopes]
                if any(pc.any(one).as_py() for one in found):
                    yield table.source

    def _is_refused_by_connect(self) -> bool:
        with closing(ConnectClient(self._settings.connect.url)) as client:
            status = client.status(self._settings.connector.name)
        return status.has_failed and any(_REFUSED_BY_CONNECT in task.trace for task in status.tasks)


def _named(table: str) -> str:
    return f"the replica identity of {table} was changed and set back: rows were deleted without their old values"
