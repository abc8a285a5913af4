"""Incremental snapshots, requested by a signal: they write rows to the log again while changes continue.

A generation that begins at the log's end before the signal is complete once a snapshot of all tables has ended. Each
row in PostgreSQL arrives by the snapshot or by a later change, and a row deleted from now on was never in the
generation.

This is how a model is rebuilt if the log's beginning is gone. It cannot repair a gap in a generation that already has
rows, because it reports no deletions.

Source: https://debezium.io/documentation/reference/3.6/connectors/postgresql.html#postgresql-incremental-snapshots
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from uuid import uuid4

from confluent_kafka import Consumer, KafkaException, TopicPartition

from connectors.debezium import ConnectorConfiguration
from connectors.envelope import ValueEncoding
from connectors.errors import DependencyUnavailable, SourceContractViolation
from connectors.kafka import KafkaSettings, KafkaUnavailable, end_offsets
from connectors.notifications import PARTIAL, Notification, read_notification
from connectors.schema_lookup import SchemaLookup
from connectors.sql_names import in_sql, table_in_sql
from pipeline.ingest.consumer import classify_error
from pipeline.postgres.database import Connection, connect
from pipeline.postgres.replication import send_signal

POLL_S = 0.5
STOPS_WITHIN_S = 30.0
MAX_SIGNAL_LENGTH = 2048
"""Maximum length of the request, in characters: the size of the signal table's column."""


class SnapshotFailed(DependencyUnavailable):
    """The connector did not finish a snapshot."""

    remedy = (
        "Run `readmodels init`, which resumes the connector, then repeat the command: the snapshot starts again at "
        "the first row."
    )


class SnapshotRefused(DependencyUnavailable):
    """PostgreSQL refused a query of the connector, such as for a missing privilege; Kafka Connect's log has the reason.

    Args:
        table: as `schema.table`.
        role: the connector's role.
    """

    def __init__(self, table: str, role: str) -> None:
        super().__init__(f"PostgreSQL refused the connector's query on {table}")
        schema = in_sql(table.partition(".")[0])
        self.remedy = (
            f"GRANT USAGE ON SCHEMA {schema} TO {in_sql(role)}; GRANT SELECT ON TABLE {table_in_sql(table)} TO "
            f"{in_sql(role)}; then repeat the command. If PostgreSQL refuses again, see Kafka Connect's log."
        )


class SnapshotUnsupported(SourceContractViolation):
    """The connector cannot read a table with generated columns again.

    Before an incremental snapshot, Debezium 3.6.1 removes generated columns from the schema of a table
    (`PostgresSchema`). It then fails at the first row, and in a trial did not send the next change of the table.
    """

    remedy = "Run `readmodels epoch open --resnapshot --execute`: its snapshot reads generated columns too."


class SnapshotStopped(Exception):
    """The snapshot was stopped on request. Rows already sent are valid."""

    remedy = "Nothing is lost. To send all rows, repeat the command: it starts again at the first row."


class SignalTooLong(ValueError):
    """The request does not fit into the signal table."""

    remedy = (
        "Give a shorter condition, such as a range of the key: `id BETWEEN 1 AND 1000`. Repeat the command for each "
        "range."
    )


@dataclass(frozen=True, kw_only=True)
class SnapshotRequest:
    """Rows that the connector is to read.

    Args:
        tables: each as `schema.table`.
        where: an SQL condition on the rows of all tables; None for every row.
    """

    tables: tuple[str, ...]
    where: str | None = None

    def new_id(self) -> str:
        """Return a new id for a signal. The notifications of the snapshot repeat it."""
        return f"{PARTIAL if self.where is not None else ''}{uuid4()}"

    @property
    def data(self) -> str:
        """Signal data in Debezium's format.

        Raises:
            SignalTooLong: the data does not fit into the signal table.
        """
        # The type is explicit because Debezium also has blocking snapshots, which stop streaming. The signal table
        # refuses those.
        wanted: dict[str, object] = {"type": "incremental", "data-collections": list(self.tables)}
        if self.where is not None:
            wanted["additional-conditions"] = [
                {"data-collection": table, "filter": self.where} for table in self.tables
            ]
        text = json.dumps(wanted)
        if len(text) > MAX_SIGNAL_LENGTH:
            raise SignalTooLong(f"the signal has {len(text)} characters, and may have {MAX_SIGNAL_LENGTH}")
        return text


@dataclass(frozen=True, kw_only=True)
class SnapshotProgress:
    """Progress of a snapshot.

    Args:
        chunks: number of chunks read; a chunk has 1,024 rows by default.
        table: the table that is being read.
        reached, last: the keys of its last row read and of its last row to read; empty if not reported.
        rows: row counts of the finished tables.
    """

    elapsed_s: float = 0.0
    chunks: int = 0
    table: str = ""
    reached: str = ""
    last: str = ""
    rows: Mapping[str, int] | None = None

    def after(self, one: Notification) -> SnapshotProgress:
        """Return the progress after this notification.

        Raises:
            SnapshotFailed: a table was not read.
        """
        told = one.additional_data
        if one.type == "IN_PROGRESS":
            return replace(
                self,
                chunks=self.chunks + 1,
                table=told.get("current_collection_in_progress", self.table),
                reached=told.get("last_processed_key", ""),
                last=told.get("maximum_key", ""),
            )
        if one.type == "TABLE_SCAN_COMPLETED":
            table = told.get("scanned_collection", "")
            if one.table_read is None:
                raise SnapshotFailed(f"the connector did not read {table}: {told.get('status')}")
            return replace(self, rows={**(self.rows or {}), table: int(told.get("total_rows_scanned", "0"))})
        return self


@dataclass(frozen=True)
class IncrementalSnapshots:
    """Client that requests snapshots from the connector.

    Args:
        url: URL of the source, as a role that may write to the signal table.
        role: the connector's role in the source.
        schemas: schemas of the connector's notifications.
    """

    kafka: KafkaSettings
    connector: ConnectorConfiguration
    url: str
    role: str
    schemas: SchemaLookup

    def run(
        self,
        wanted: SnapshotRequest,
        tell: Callable[[SnapshotProgress], None],
        is_to_stop: Callable[[], bool] = lambda: False,
    ) -> SnapshotProgress:
        """Request a snapshot, and return when the connector has finished it.

        Args:
            tell: called with the progress while the snapshot runs.
            is_to_stop: returns whether the connector is to stop.

        Raises:
            SnapshotFailed: the connector aborted the snapshot.
            SnapshotRefused: the connector may not read a table.
            SnapshotUnsupported: a table has generated columns.
            SnapshotStopped: the connector stopped on request.
            KafkaUnavailable: the connector's notifications cannot be read.
        """
        with closing(connect(self.url)) as connection:
            require_no_generated_columns(connection, self.connector, wanted.tables)
        with self._notifications() as consumer:
            snapshot_id = wanted.new_id()
            self._signal(snapshot_id, "execute-snapshot", wanted.data)
            began, stopped_at, known = time.monotonic(), None, SnapshotProgress()
            while True:
                known = replace(known, elapsed_s=time.monotonic() - began)
                tell(known)
                if is_to_stop() and stopped_at is None:
                    stopped_at = time.monotonic()
                    self._signal(str(uuid4()), "stop-snapshot", wanted.data)
                if stopped_at is not None and time.monotonic() > stopped_at + STOPS_WITHIN_S:
                    raise SnapshotFailed(f"the connector has not stopped after {STOPS_WITHIN_S:g} s")
                one = self._next(consumer, snapshot_id)
                if one is None:
                    continue
                if one.additional_data.get("status") == "SQL_EXCEPTION":
                    raise SnapshotRefused(one.additional_data.get("scanned_collection", ""), self.role)
                known = known.after(one)
                if one.type == "COMPLETED":
                    return known
                if one.type in ("ABORTED", "STOPPED"):
                    if stopped_at is not None:
                        raise SnapshotStopped(f"the snapshot was stopped after {known.chunks} chunks")
                    raise SnapshotFailed(f"the connector gave up the snapshot {snapshot_id}")

    def _signal(self, signal_id: str, kind: str, data: str) -> None:
        with closing(connect(self.url)) as connection:
            send_signal(connection, self.connector.signal_table, signal_id, kind, data)

    def _next(self, consumer: Consumer, snapshot_id: str) -> Notification | None:
        """Return the next notification if it belongs to this snapshot."""
        message = consumer.poll(POLL_S)
        if message is None:
            return None
        if error := message.error():
            if failure := classify_error(error, "the notifications"):
                raise KafkaUnavailable(str(failure)) from KafkaException(error)
            return None
        value = message.value() or b""
        if snapshot_id.encode() not in value:
            return None
        form = ValueEncoding.JSON if self.connector.has_json_values else ValueEncoding.AVRO
        return read_notification(value, form, self.schemas)

    @contextmanager
    def _notifications(self) -> Iterator[Consumer]:
        """Yield a consumer of the connector's notifications from now on."""
        # Keep a reference: a garbage-collected AdminClient never completes its futures.
        admin = self.kafka.admin()
        ends = end_offsets(admin, [self.connector.notification_topic])
        consumer = Consumer(
            self.kafka.with_client(
                group_id="readmodels.notifications",
                isolation_level="read_committed",
                enable_auto_commit=False,
                auto_offset_reset="error",
            )
        )
        try:
            consumer.assign([TopicPartition(*topic_partition, offset) for topic_partition, offset in ends.items()])
            yield consumer
        finally:
            consumer.close()


def require_no_generated_columns(
    connection: Connection, connector: ConnectorConfiguration, tables: Sequence[str]
) -> None:
    """Refuse tables of which the connector sends generated columns.

    Raises:
        SnapshotUnsupported: with the names of these columns.
    """
    found = connection.execute(
        """
        SELECT namespace.nspname || '.' || class.relname, attribute.attname
        FROM pg_catalog.pg_attribute AS attribute
        JOIN pg_catalog.pg_class AS class ON class.oid = attribute.attrelid
        JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace
        WHERE attribute.attgenerated <> '' AND NOT attribute.attisdropped
          AND namespace.nspname || '.' || class.relname = ANY (%s)
        ORDER BY class.oid, attribute.attnum
        """,
        [list(tables)],
    )
    sent = [f"{table}.{column}" for table, column in found if connector.captures_column(str(table), str(column))]
    if sent:
        raise SnapshotUnsupported(f"the connector cannot read generated columns again: {', '.join(sent)}")
