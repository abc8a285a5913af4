"""Scan of the whole log before a rebuild: its start, its content, and its read rate."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import structlog

from connectors import topics
from connectors.avro.wire_format import parse_frames
from connectors.decode.decoder import DecodedBatch, Decoder, RejectedRecord
from connectors.errors import SourceContractViolation, UnknownSchema
from connectors.kafka import earliest_offsets, end_offsets
from connectors.notifications import SnapshotStatus
from connectors.records import RecordBatch
from connectors.schema_lookup import NegativeCache
from pipeline import read_models
from pipeline.config import Settings
from pipeline.ingest.epoch_history import NO_EPOCHS, EpochHistory
from pipeline.ingest.log_reader import filter_records, read_log
from pipeline.log_scan.snapshot_status import read_snapshot_status
from pipeline.log_scan.statistics import SnapshotRows, StreamedStatistics, TopicStatistics, last_snapshot_rows
from sinks.batch import Offsets, TopicPartition

log = structlog.get_logger()

MAX_NAMED = 100
"""Limit of unreadable records that are listed; further ones are only counted."""


class ScanWatcher(Protocol):
    """Observer of a scan's progress."""

    def surveying(self, reached: Offsets, ends: Offsets) -> None:
        """Report the offset reached and the end offset of each partition. Some offsets are not records."""


@dataclass(frozen=True, kw_only=True)
class PartitionLog:
    """Scanned partition, from its start to its end when the scan began.

    Args:
        records: committed records, including tombstones but not control records.
        value_bytes: size of all values, uncompressed.
        snapshots: the rows of snapshots, by the snapshot's LSN.
        streamed: statistics of streamed changes; None if there are none.
    """

    earliest: int
    end: int
    records: int = 0
    value_bytes: int = 0
    snapshots: Mapping[int, SnapshotRows] = field(default_factory=dict)
    streamed: StreamedStatistics | None = None


@dataclass(frozen=True, kw_only=True)
class LogScan:
    """Content of a log.

    Args:
        missing: topics that do not exist.
        schema_ids: the ids of all value schemas, by topic; empty for JSON.
        unknown_schemas: those of them that the registry does not know.
        unreadable: the first records that cannot be read.
        unreadable_counts: their number, by topic.
        broken: why a topic's changes do not match the described table; the rest of the topic was not decoded.
        ended_snapshots: the LSNs of the snapshots whose last row is in the log.
        earlier: by topic, the columns that some records lack or have in another than the described type, each with the
            reasons.
        told: the connector's report about its first snapshot; None if it reports nothing about these topics.
        never_read: the described tables, as `schema.table`, that no snapshot has read although it has ended.
        elapsed_s: duration of the scan.
    """

    partitions: Mapping[TopicPartition, PartitionLog]
    missing: tuple[str, ...] = ()
    schema_ids: Mapping[str, frozenset[int]] = field(default_factory=dict)
    unknown_schemas: Mapping[str, frozenset[int]] = field(default_factory=dict)
    unreadable: tuple[RejectedRecord, ...] = ()
    unreadable_counts: Mapping[str, int] = field(default_factory=dict)
    broken: Mapping[str, SourceContractViolation] = field(default_factory=dict)
    ended_snapshots: frozenset[int] = frozenset()
    earlier: Mapping[str, Mapping[str, frozenset[str]]] = field(default_factory=dict)
    told: SnapshotStatus | None = None
    never_read: tuple[str, ...] = ()
    elapsed_s: float = 0.0

    @property
    def topics(self) -> tuple[str, ...]:
        """Topics that were read."""
        return tuple(sorted({topic for topic, _ in self.partitions}))

    @property
    def ends(self) -> dict[TopicPartition, int]:
        """End offset of each partition when the scan began."""
        return {topic_partition: one.end for topic_partition, one in self.partitions.items()}

    @property
    def records(self) -> int:
        """Number of records in all partitions."""
        return sum(one.records for one in self.partitions.values())

    @property
    def value_bytes(self) -> int:
        """Size of all values, uncompressed."""
        return sum(one.value_bytes for one in self.partitions.values())

    @property
    def snapshot_lsns(self) -> tuple[int, ...]:
        """LSNs of all snapshots with rows in the log, in ascending order."""
        return tuple(sorted({lsn for one in self.partitions.values() for lsn in one.snapshots}))

    @property
    def records_per_s(self) -> float:
        """Records read and decoded per second."""
        return self.records / self.elapsed_s if self.elapsed_s else 0.0


def scan_log(settings: Settings, watcher: ScanWatcher, epoch_history: EpochHistory = NO_EPOCHS) -> LogScan:
    """Read the topics of the described tables once, from their earliest offsets to their current ends.

    Memory use is that of one chunk of the log, whatever the log's length.

    Args:
        epoch_history: the epochs of the log. Statistics of snapshots and streaming cover the current history only.

    Raises:
        KafkaUnavailable: the brokers did not answer.
        LogStalled: a partition cannot be read to its end.
        RegistryUnavailable: the schema registry did not answer.
    """
    began = time.monotonic()
    schemas = NegativeCache(read_models.registry(settings))
    # Keep a reference: a garbage-collected AdminClient never completes its futures.
    admin = settings.kafka.admin()
    # Read before the ends are fixed: a snapshot that is reported as complete is then within the scanned part.
    told = read_snapshot_status(settings, admin, schemas, epoch_history.begins_at())
    described = topics.describe(admin, settings.definitions.topics)
    names = [name for name in settings.definitions.topics if name in described]
    ends = end_offsets(admin, names) if names else {}
    earliest = earliest_offsets(admin, names) if names else {}
    found = Scanner(read_models.decoder(settings, schemas, is_lenient=True), schemas, epoch_history)
    watcher.surveying(earliest, ends)
    for piece in read_log(settings.kafka, earliest, ends):
        for records in piece.records:
            found.take(records)
        watcher.surveying(piece.reached, ends)
    return LogScan(
        missing=tuple(sorted(settings.definitions.topics.keys() - described.keys())),
        partitions={
            topic_partition: found.partition(topic_partition, earliest[topic_partition], end)
            for topic_partition, end in ends.items()
        },
        schema_ids={name: found.schema_ids(name) for name in names},
        unknown_schemas={name: frozenset(ids) for name, ids in found.unknown.items()},
        unreadable=tuple(found.unreadable),
        unreadable_counts=dict(found.unreadable_counts),
        broken=found.broken,
        ended_snapshots=frozenset(found.ended_snapshots),
        earlier=found.earlier,
        told=told,
        never_read=told.lacks(table.source for table in settings.tables.values()) if told and told.has_ended else (),
        elapsed_s=time.monotonic() - began,
    )


class Scanner:
    """State of one pass over the topics."""

    def __init__(self, decoder: Decoder, schemas: NegativeCache, epoch_history: EpochHistory = NO_EPOCHS) -> None:
        self._decoder = decoder
        self._schemas = schemas
        self._epoch_history = epoch_history
        self._tallies: defaultdict[str, TopicStatistics] = defaultdict(TopicStatistics)
        self.unknown: defaultdict[str, set[int]] = defaultdict(set)
        self.unreadable: list[RejectedRecord] = []
        self.unreadable_counts: Counter[str] = Counter()
        self.broken: dict[str, SourceContractViolation] = {}
        self.ended_snapshots: set[int] = set()
        self.earlier: dict[str, dict[str, frozenset[str]]] = {}

    def take(self, records: RecordBatch) -> None:
        """Add records of one topic. They must follow those added before."""
        tally = self._tallies[records.topic]
        tally.count(records)
        if records.topic in self.broken:
            return
        try:
            decoded, records = self._decoded(records)
        except SourceContractViolation as error:
            self.broken[records.topic] = error
            return
        self.unreadable_counts[records.topic] += len(decoded.rejected)
        self.unreadable += decoded.rejected[: MAX_NAMED - len(self.unreadable)]
        self._note_earlier(records.topic, decoded)
        for table in decoded.envelopes:
            envelopes = self._epoch_history.only_current(records.topic, table)
            tally.add(envelopes)
            for lsn, last in last_snapshot_rows(envelopes, records).items():
                if self._decoder.is_snapshot_ended(last):
                    self.ended_snapshots.add(lsn)

    def _note_earlier(self, topic: str, decoded: DecodedBatch) -> None:
        for substituted in decoded.substituted:
            for column, reason in substituted.items():
                columns = self.earlier.setdefault(topic, {})
                columns[column] = columns.get(column, frozenset()) | {reason}

    def schema_ids(self, topic: str) -> frozenset[int]:
        """Return the ids of all schemas that a topic's values refer to."""
        return self._decoder.schema_ids(topic) | self.unknown[topic]

    def partition(self, topic_partition: TopicPartition, earliest: int, end: int) -> PartitionLog:
        """Return the statistics of one partition."""
        tally, partition = self._tallies[topic_partition[0]], topic_partition[1]
        return PartitionLog(
            earliest=earliest,
            end=end,
            records=tally.records[partition],
            value_bytes=tally.value_bytes[partition],
            snapshots=tally.snapshots[partition],
            streamed=tally.streamed.get(partition),
        )

    def _decoded(self, records: RecordBatch) -> tuple[DecodedBatch, RecordBatch]:
        """Decode the records with known schemas. Each unknown schema causes one failed attempt, then its records are
        left out.
        """
        while True:
            readable = self._without_unknown(records)
            try:
                return self._decoder.decode(readable), readable
            except UnknownSchema:
                log.info("schema unknown", topic=records.topic, unknown_ids=sorted(self._schemas.unknown))

    def _without_unknown(self, records: RecordBatch) -> RecordBatch:
        if not self._schemas.unknown:
            return records
        ids = parse_frames(records.values).schema_ids
        is_unknown = np.isin(ids, list(self._schemas.unknown))
        self.unknown[records.topic].update(np.unique(ids[is_unknown]).tolist())
        return filter_records(records, ~is_unknown)
