"""An incremental snapshot, asked for by a signal: rows once more in the log, while changes go on.

A generation that begins at the log's end before the signal holds everything once a snapshot of all tables is over: each
row that PostgreSQL holds comes by the snapshot or by a change since, and what is deleted from now on was never there.
It is the way to rebuild a model where the log's beginning is gone. It heals no gap in a generation that has rows
already, since it tells of no deletion.

Source: https://debezium.io/documentation/reference/3.6/connectors/postgresql.html#postgresql-incremental-snapshots
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from uuid import uuid4

from confluent_kafka import Consumer, KafkaException, TopicPartition

from connectors.debezium import ConnectorConfiguration
from connectors.envelope import ValueEncoding
from connectors.errors import DependencyUnavailable
from connectors.kafka import KafkaSettings, KafkaUnavailable, end_offsets
from connectors.notifications import PARTIAL, Notification, read_notification
from connectors.schema_lookup import SchemaLookup
from connectors.sql_names import in_sql, table_in_sql
from pipeline.ingest.consumer import classify_error
from pipeline.postgres.database import connect
from pipeline.postgres.replication import send_signal

POLL_S = 0.5
STOPS_WITHIN_S = 30.0
MAX_SIGNAL_LENGTH = 2048
"""Characters that the signal table holds of what is wanted."""


class SnapshotFailed(DependencyUnavailable):
    """The connector did not come to the end of a snapshot that it was asked for."""

    remedy = (
        "Run `readmodels init`, which resumes the connector, then repeat the command: the snapshot begins at the "
        "first row."
    )


class SnapshotRefused(DependencyUnavailable):
    """PostgreSQL refused a query of the connector's, such as for a missing right; Kafka Connect's log has the reason.

    Args:
        table: as `schema.table`.
        role: the connector's.
    """

    def __init__(self, table: str, role: str) -> None:
        super().__init__(f"PostgreSQL refused the connector's query on {table}")
        schema = in_sql(table.partition(".")[0])
        self.remedy = (
            f"GRANT USAGE ON SCHEMA {schema} TO {in_sql(role)}; GRANT SELECT ON TABLE {table_in_sql(table)} TO "
            f"{in_sql(role)}; then repeat the command. If PostgreSQL refuses again, Kafka Connect's log has its words."
        )


class SnapshotStopped(Exception):
    """A snapshot was stopped before its end, because it was to be; the rows that it has sent are as good as any."""

    remedy = "Nothing is lost. Repeat the command when the rows are wanted after all: it begins at the first row."


class SignalTooLong(ValueError):
    """What is wanted does not fit into the signal table."""

    remedy = (
        "Give a shorter condition, such as a range of the key: `id BETWEEN 1 AND 1000`. Repeat the command for each "
        "range."
    )


@dataclass(frozen=True, kw_only=True)
class SnapshotRequest:
    """What the connector is to read.

    Args:
        tables: each as `schema.table`.
        where: a condition in SQL on the rows of all of them; None for every row.
    """

    tables: tuple[str, ...]
    where: str | None = None

    def new_id(self) -> str:
        """Make up an id for a signal, which the notifications of the snapshot repeat."""
        return f"{PARTIAL if self.where is not None else ''}{uuid4()}"

    @property
    def data(self) -> str:
        """The signal, as Debezium has it.

        Raises:
            SignalTooLong: the signal table cannot hold it.
        """
        # Named, for the table refuses what is not: Debezium also knows snapshots during which nothing is streamed.
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
    """How far a snapshot has got.

    Args:
        chunks: how many pieces of tables were read; a chunk has 1,024 rows where nothing else is configured.
        table: the one that is read now.
        reached, last: the keys of the last row that was read of it, and of the last that will be; empty if not told.
        rows: of the tables that are done.
    """

    elapsed_s: float = 0.0
    chunks: int = 0
    table: str = ""
    reached: str = ""
    last: str = ""
    rows: Mapping[str, int] | None = None

    def after(self, one: Notification) -> SnapshotProgress:
        """The progress once this was notified.

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
    """Where a snapshot is asked for.

    Args:
        url: of the source, as a role that may write into the signal table.
        role: the connector's, in the source.
        schemas: those of the connector's notifications.
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
        """Have the connector read rows once more, and return when it has.

        Args:
            tell: is called while it lasts.
            is_to_stop: whether the connector is to leave off.

        Raises:
            SnapshotFailed: the connector gave it up.
            SnapshotRefused: it may not read a table.
            SnapshotStopped: it left off, as it was to.
            KafkaUnavailable: the connector's notifications cannot be read.
        """
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
        """What is notified next, if it is of this snapshot."""
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
        """What the connector notifies of from now on."""
        # Held by name: the answer of an admin client that is collected never comes.
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
