"""Tests of surveys of real topics: the log's contents, deleted records, and whether a rebuild is possible."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from confluent_kafka import TopicPartition as KafkaTopicPartition
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from orjson import dumps

from connectors import topics
from connectors.kafka import end_offsets
from connectors.topics import TopicSpec
from pipeline import read_models
from pipeline.cli.context import local_defaults
from pipeline.config import Settings, load
from pipeline.ingest.log_reader import GROUP, LogStalled, read_log
from pipeline.ingest.projection import RowProjection
from pipeline.log_scan.assessment import Assessment, assess, scopes_of
from pipeline.log_scan.finding import FindingReason
from pipeline.log_scan.scan import LogScan, scan_log
from sinks.batch import Batch, OffsetRange, Offsets, TopicPartition
from sinks.memory import MemoryStore
from sinks.ordering.range_tombstone import RangeTombstone
from stack.endpoints import Endpoints
from tests.support.waiting import wait_for
from tests.unit.connectors.decode.change_records import ORDERS, ROW, change, envelope_schema, framed

PARTITIONS = 2
FIRST, SECOND = 1000, 2000
"""LSNs of snapshots."""
COMPACTS_WITHIN_S = 90.0
COMPACT_AT_ONCE = {
    "cleanup.policy": "compact",
    "segment.ms": "100",
    "min.cleanable.dirty.ratio": "0.001",
    "delete.retention.ms": "0",
}
KEEP = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}


@dataclass
class Watched:
    """The reports of a survey."""

    seen: list[tuple[Offsets, Offsets]] = field(default_factory=list)

    def surveying(self, reached: Offsets, ends: Offsets) -> None:
        self.seen.append((reached, ends))


class Log:
    """A topic of orders, into which a test writes a connector's records."""

    def __init__(self, settings: Settings, schema_id: int) -> None:
        self.settings = settings
        self.schema_id = schema_id
        self.admin = settings.kafka.admin()
        (self.topic,) = settings.definitions.topics
        self._producer = self._opened()

    def write(self, *values: bytes | None, partition: int = 0) -> None:
        """Write records in a transaction of their own; the key is always the same."""
        self._producer.begin_transaction()
        for value in values:
            self._producer.produce(self.topic, value, b'{"id":42}', partition)
        self._producer.commit_transaction(30)

    def leave_open(self, value: bytes) -> None:
        """Write a record in a transaction that does not end."""
        producer = self._opened()
        producer.begin_transaction()
        producer.produce(self.topic, value, b'{"id":42}', 0)
        producer.flush(30)

    def change(self, op: str, order_id: int, lsn: int, commit_lsn: int | None = None, schema_id: int = 0) -> bytes:
        """Return the value of a streamed change."""
        row = {**ROW, "id": order_id}
        before, after = (row if op in "ud" else None), (row if op in "uc" else None)
        sequence = f'["{commit_lsn or lsn}","{lsn}"]'
        return framed(change(op, before, after, lsn=lsn, sequence=sequence), schema_id=schema_id or self.schema_id)

    def row(self, order_id: int, lsn: int, snapshot: str = "true") -> bytes:
        """Return the value of a snapshot row."""
        place: dict[str, Any] = {"snapshot": snapshot, "lsn": lsn, "sequence": f'[null,"{lsn}"]'}
        return framed(change("r", after={**ROW, "id": order_id}, **place), schema_id=self.schema_id)

    def survey(self) -> LogScan:
        return scan_log(self.settings, Watched())

    def judge(self, surveyed: LogScan, recorded: list[RangeTombstone] | None = None) -> Assessment:
        described = topics.describe(self.admin, [self.topic])
        return assess(surveyed, described, scopes_of(self.settings.definitions.row_shapes()), recorded or [])

    def rebuilt(self, range_tombstones: tuple[RangeTombstone, ...]) -> set[object]:
        """Return the ids of the orders that a new generation shows."""
        return rebuilt(self.settings, range_tombstones)

    def _opened(self) -> Producer:
        producer = Producer(self.settings.kafka.with_client(transactional_id=str(uuid.uuid4())))
        producer.init_transactions(30)
        return producer


def rebuilt(settings: Settings, range_tombstones: tuple[RangeTombstone, ...]) -> set[object]:
    """Return the ids of the orders in a new in-memory generation that begins with these range tombstones.

    The generation reads the whole log.
    """
    store = MemoryStore(settings.definitions.row_shapes())
    sink = store.sink(1)
    sink.prepare()
    sink.write(Batch(range_tombstones=range_tombstones))
    decoder, projection = read_models.decoder(settings), RowProjection(settings.definitions)
    ends = end_offsets(settings.kafka.admin(), settings.definitions.topics)
    for piece in read_log(settings.kafka, dict.fromkeys(ends, 0), ends):
        for records in piece.records:
            for envelopes in decoder.decode(records).envelopes:
                projected = projection(settings.definitions.topics[records.topic], envelopes)
                sink.write(Batch(projected.mutations, projected.range_tombstones, OffsetRange({}, {})))
    registers = store.held[1].registers
    return {name[1] for name, register in registers.items() if name[0] == "orders" and register.is_alive}


def described(folder: Path, prefix: str) -> Path:
    """Write definitions with only the table of the change records."""
    columns = "\n".join(f'{name} = "{kind}"' for name, kind in ORDERS.columns.items())
    file = folder / "readmodels.toml"
    file.write_text(
        f'topic_prefix = "{prefix}"\n[tables.orders]\nsource = "public.orders"\nkey = ["id"]\n'
        f"[tables.orders.columns]\n{columns}\n"
    )
    return file


@contextmanager
def opened(endpoints: Endpoints, folder: Path, config: Mapping[str, str]) -> Iterator[Log]:
    prefix = f"survey-{uuid.uuid4().hex[:8]}"
    settings = load(described(folder, prefix), local_defaults(endpoints, folder))
    with SchemaRegistryClient({"url": endpoints.schema_registry}) as client:
        subject = f"{prefix}.public.orders-value"
        schema_id = client.register_schema(subject, Schema(dumps(envelope_schema()).decode(), "AVRO"))
        log = Log(settings, schema_id)
        topics.create_missing(log.admin, [TopicSpec(log.topic, PARTITIONS, 1, dict(config))])
        yield log
        topics.delete(log.admin, [log.topic])
        client.delete_subject(subject)
        client.delete_subject(subject, permanent=True)


@pytest.fixture
def log(endpoints: Endpoints, tmp_path: Path) -> Iterator[Log]:
    with opened(endpoints, tmp_path, KEEP) as made:
        yield made


@pytest.fixture
def compacted(endpoints: Endpoints, tmp_path: Path) -> Iterator[Log]:
    with opened(endpoints, tmp_path, COMPACT_AT_ONCE) as made:
        yield made


def test_a_whole_log_is_counted_read_and_found_good(log: Log) -> None:
    log.write(log.row(1, FIRST, "first"), log.row(2, FIRST, "last"))
    log.write(log.change("u", 1, 3000), log.change("d", 2, 3010, 3000), None)
    log.write(log.change("c", 3, 3100), partition=1)
    found = log.survey()
    first, second = found.partitions[log.topic, 0], found.partitions[log.topic, 1]
    assert (first.earliest, first.end, first.records) == (0, 7, 5)
    assert (second.earliest, second.end, second.records) == (0, 2, 1)
    assert (found.records, found.snapshot_lsns, found.ended_snapshots) == (6, (FIRST,), frozenset({FIRST}))
    assert found.value_bytes == first.value_bytes + second.value_bytes > 6 * 100
    assert found.schema_ids == {log.topic: {log.schema_id}}
    assert first.snapshots[FIRST].last == 1
    assert first.streamed is not None
    assert (first.streamed.first, first.streamed.least_lsn) == (3, 3000)
    assert found.records_per_s > 0
    assert log.judge(found) == Assessment((), ())


def test_progress_goes_from_the_beginning_to_the_ends_that_were_there(log: Log) -> None:
    log.write(log.change("c", 1, 3000), partition=1)
    watched = Watched()
    scan_log(log.settings, watched)
    topic_partitions: list[TopicPartition] = [(log.topic, 0), (log.topic, 1)]
    ends = dict(zip(topic_partitions, (0, 2), strict=True))
    assert watched.seen[0] == (dict.fromkeys(topic_partitions, 0), ends)
    assert watched.seen[-1] == (ends, ends)


def test_records_written_later_are_not_read(log: Log) -> None:
    log.write(*[log.change("c", order_id, 3000 + order_id) for order_id in range(5)])
    ends = {(log.topic, 0): 3}
    (piece,) = read_log(log.settings.kafka, dict.fromkeys(ends, 1), ends)
    assert [records.offsets.tolist() for records in piece.records] == [[1, 2]]
    assert piece.reached == ends


def test_a_survey_leaves_no_group_behind(log: Log) -> None:
    log.write(log.change("c", 1, 3000))
    log.survey()
    groups = log.admin.list_consumer_groups(request_timeout=10).result()
    assert GROUP not in {group.group_id for group in groups.valid}


def test_a_transaction_that_hangs_is_an_error_and_not_a_survey_that_never_ends(log: Log) -> None:
    log.write(log.change("c", 1, 3000))
    log.leave_open(log.change("c", 2, 3100))
    ends = end_offsets(log.admin, [log.topic])
    with pytest.raises(LogStalled, match=f"{log.topic}/0 at offset 2") as stalled:
        list(read_log(log.settings.kafka, dict.fromkeys(ends, 0), ends, stall_timeout_s=1.0))
    assert "find-hanging" in stalled.value.remedy


def test_a_log_whose_first_segment_was_deleted_is_refused(log: Log) -> None:
    log.write(log.row(1, FIRST, "last"))
    log.write(log.change("u", 1, 3000))
    # Use a new client: the other one has cached that the topic does not exist.
    admin = log.settings.kafka.admin()
    admin.delete_records([KafkaTopicPartition(log.topic, 0, 2)])[KafkaTopicPartition(log.topic, 0)].result()
    found = log.survey()
    assert (found.partitions[log.topic, 0].earliest, found.records) == (2, 1)
    (finding,) = log.judge(found).findings
    assert finding.reason is FindingReason.OFFSET_ZERO_GONE
    assert f"{log.topic}/0 begins at 2" in finding.sentence


def test_a_log_that_begins_with_what_was_aborted_has_its_offset_zero(log: Log) -> None:
    producer = log._opened()
    producer.begin_transaction()
    producer.produce(log.topic, b"never committed", b'{"id":42}', 0)
    producer.flush(30)
    producer.abort_transaction(30)
    log.write(log.change("c", 1, 3000))
    found = log.survey()
    assert (found.partitions[log.topic, 0].earliest, found.records) == (0, 1)
    assert not log.judge(found).findings


def test_a_compacted_log_that_lost_deletes_is_refused(compacted: Log) -> None:
    compacted.write(compacted.change("c", 42, 3000), compacted.change("d", 42, 3010, 3000), None)

    def is_compacted() -> bool:
        # Later records close a segment, and only closed segments are compacted.
        compacted.write(compacted.change("c", 42, 4000))
        return (
            compacted.survey().partitions[compacted.topic, 0].streamed != before.partitions[compacted.topic, 0].streamed
        )

    before = compacted.survey()
    wait_for(is_compacted, COMPACTS_WITHIN_S, lambda: "nothing was compacted")
    found = compacted.survey()
    streamed = found.partitions[compacted.topic, 0].streamed
    assert streamed is not None
    assert streamed.first > 1
    assert found.partitions[compacted.topic, 0].earliest == 0
    assert [one.reason for one in compacted.judge(found).findings if one.is_fatal] == [FindingReason.COMPACTED]


def test_a_log_that_may_be_compacted_is_refused_where_it_has_gaps_of_its_transactions(compacted: Log) -> None:
    compacted.write(compacted.change("c", 42, 3000))
    assessment = compacted.judge(compacted.survey())
    assert [one.reason for one in assessment.findings] == [FindingReason.COMPACTED]


def test_an_aborted_snapshot_that_was_restarted_is_swept(log: Log) -> None:
    log.write(log.row(1, FIRST, "first"), log.row(2, FIRST))
    log.write(log.row(1, SECOND, "first"), log.row(3, SECOND, "last"))
    log.write(log.change("c", 4, 3000))
    found = log.survey()
    assessment = log.judge(found)
    assert found.snapshot_lsns == (FIRST, SECOND)
    assert found.ended_snapshots == {SECOND}
    assert not assessment.findings
    assert log.rebuilt(assessment.range_tombstones) == {1, 3, 4}
    assert log.rebuilt(()) == {1, 2, 3, 4}


def test_a_topic_that_expires_is_kept_once_it_has_the_settings_of_the_remedy(
    endpoints: Endpoints, tmp_path: Path
) -> None:
    with opened(endpoints, tmp_path, {**KEEP, "retention.ms": "3600000", "retention.bytes": "1073741824"}) as log:
        log.write(log.row(1, FIRST, "last"))
        [finding] = log.judge(log.survey()).findings
        assert finding.reason is FindingReason.RETENTION_LIMITED
        wanted = [
            ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
            for name, value in re.findall(r"`([a-z.]+)=(-1)`", finding.remedy)
        ]
        [altered] = log.admin.incremental_alter_configs(
            [ConfigResource(ResourceType.TOPIC, log.topic, incremental_configs=wanted)]
        ).values()
        altered.result()
        wait_for(lambda: not log.judge(log.survey()).findings, 30.0, lambda: "it expires")


def test_a_second_snapshot_cannot_be_detected_from_the_log_alone(log: Log) -> None:
    log.write(log.row(1, FIRST, "first"), log.row(2, FIRST, "last"), log.change("c", 3, FIRST + 10))
    started_at = end_offsets(log.admin, [log.topic])
    log.write(log.row(1, SECOND, "last"), log.change("c", 4, SECOND + 10))
    assessment = log.judge(log.survey())
    assert [one.reason for one in assessment.findings] == [FindingReason.SNAPSHOT_AMBIGUOUS]
    offsets = {partition: offset for (_, partition), offset in started_at.items()}
    recorded = RangeTombstone.from_json(
        {"scope": "orders", "kind": "sweep", "epoch": 0, "commit_lsn": SECOND, "lsn": SECOND, "started_at": offsets}
    )
    known = log.judge(log.survey(), [recorded])
    assert known == Assessment((), (recorded,))
    assert log.rebuilt(known.range_tombstones) == {1, 4}


def test_a_schema_that_the_registry_forgot_is_named_and_the_rest_is_read(log: Log) -> None:
    log.write(log.change("c", 1, 3000), log.change("c", 2, 3010, schema_id=999_999), log.change("c", 3, 3020))
    log.write(log.change("c", 4, 3100, schema_id=999_998))
    found = log.survey()
    assert found.unknown_schemas == {log.topic: {999_998, 999_999}}
    assert (found.records, found.unreadable) == (4, ())
    (finding,) = log.judge(found).findings
    assert finding.sentence == f"the registry does not know schema 999998, 999999 of {log.topic}"


def test_a_record_that_cannot_be_read_is_named_and_the_rest_is_read(log: Log) -> None:
    log.write(log.change("c", 1, 3000), b"nonsense", log.change("c", 3, 3020), b"{}")
    found = log.survey()
    assert found.unreadable_counts == {log.topic: 2}
    assert [(one.partition, one.offset) for one in found.unreadable] == [(0, 1), (0, 3)]
    (finding,) = log.judge(found).findings
    assert f"{log.topic}/0 offset 1 cannot be read" in finding.sentence


def test_a_topic_without_the_described_rows_is_named_and_counted_to_its_end(log: Log) -> None:
    log.write(framed(change("u", after=ROW), schema_id=log.schema_id))
    log.write(log.change("c", 2, 3100), partition=1)
    found = log.survey()
    assert found.records == 2
    (finding,) = log.judge(found).findings
    assert finding.reason is FindingReason.CONTRACT_BROKEN
    assert "a change without the row before it" in finding.sentence


def test_a_topic_that_is_not_there_is_named(endpoints: Endpoints, tmp_path: Path) -> None:
    settings = load(described(tmp_path, "not-there"), local_defaults(endpoints, tmp_path))
    found = scan_log(settings, Watched())
    assert (found.records, found.missing) == (0, ("not-there.public.orders",))
    assert [one.reason for one in assess(found, {}, ["orders"]).findings] == [FindingReason.TOPIC_MISSING]


def test_json_needs_no_registry(endpoints: Endpoints, tmp_path: Path) -> None:
    flags: dict[str, Any] = {"envelopes": {"format": "json"}, "schema_registry": {"url": "http://127.0.0.1:9/"}}
    with opened(endpoints, tmp_path, KEEP) as log:
        settings = load(tmp_path / "readmodels.toml", local_defaults(endpoints, tmp_path), flags)
        log.write(dumps(change("r", after=ROW, snapshot="last", lsn=FIRST, sequence=f'[null,"{FIRST}"]')))
        found = scan_log(settings, Watched())
    assert (found.records, found.schema_ids) == (1, {log.topic: frozenset()})
    assert (found.snapshot_lsns, found.ended_snapshots) == ((FIRST,), frozenset({FIRST}))
