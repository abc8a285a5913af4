"""Tests of the assessment whether a log supports a rebuild: every refusal, and the initial sweeps of a generation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from connectors.decode.decoder import RejectedRecord
from connectors.errors import MissingColumn
from connectors.notifications import SnapshotStatus
from connectors.topics import Topic
from pipeline.generations.disk_space import DiskSpace
from pipeline.log_scan.assessment import Assessment, assess, scopes_of
from pipeline.log_scan.finding import FindingReason, LogFinding
from pipeline.log_scan.scan import LogScan, PartitionLog
from pipeline.log_scan.statistics import StreamedStatistics
from pipeline.stores.redis import memory_left
from sinks.ordering.range_tombstone import RangeTombstone, TombstoneKind
from sinks.ordering.register import Change, Register, merge_registers
from sinks.shape import DocumentShape, RowShape
from tests.unit.pipeline.log_scan.logs import (
    ABORTED,
    AGAIN,
    ITEMS,
    LAST,
    ORDERS,
    READ_NONE,
    READ_SOME,
    RESTARTED,
    RUNNING,
    SCOPES,
    STREAMED,
    UNPLACED,
    WHOLE,
    rows,
    surveyed,
    sweep,
    with_orders,
)

KEPT_FOR_EVER = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}


def topics(config: Mapping[str, str]) -> dict[str, Topic]:
    return {name: Topic(name, f"id of {name}", 1, 1, config) for name in (ORDERS, ITEMS)}


def judged(
    scan: LogScan, config: Mapping[str, str] = KEPT_FOR_EVER, recorded: list[RangeTombstone] | None = None
) -> Assessment:
    return assess(scan, topics(config), SCOPES, recorded or [])


def only(assessment: Assessment) -> LogFinding:
    (finding,) = assessment.findings
    return finding


def test_a_complete_log_with_one_snapshot_is_rebuilt_without_a_range_tombstone() -> None:
    assert judged(WHOLE) == Assessment((), ())
    assert not judged(WHOLE).is_refused


def test_a_log_that_holds_nothing_is_rebuilt() -> None:
    assert judged(surveyed(PartitionLog(earliest=0, end=0), PartitionLog(earliest=0, end=0), set())) == Assessment(())


def test_a_log_that_has_lost_its_beginning_is_refused() -> None:
    finding = only(judged(with_orders(WHOLE, earliest=7)))
    assert (finding.reason, finding.is_fatal) == (FindingReason.OFFSET_ZERO_GONE, True)
    assert finding.sentence == f"first segment deleted: offset zero is gone. {ORDERS}/0 begins at 7"
    assert "replay all --snapshot --execute" in finding.remedy
    assert "retention.ms=-1" in finding.remedy


def test_a_topic_that_is_missing_is_refused() -> None:
    assessment = assess(WHOLE, {ORDERS: topics(KEPT_FOR_EVER)[ORDERS]}, SCOPES)
    finding = only(assessment)
    assert (finding.reason, finding.sentence) == (FindingReason.TOPIC_MISSING, f"topic {ITEMS} does not exist")
    assert assessment.is_refused
    assert "readmodels init" in finding.remedy


def test_a_topic_that_was_missing_already_is_refused() -> None:
    scan = replace(WHOLE, missing=("cdc.public.customers",))
    assert only(judged(scan)).sentence == "topic cdc.public.customers does not exist"


@pytest.mark.parametrize("policy", ["compact", "compact,delete"])
def test_a_compacted_topic_with_a_gap_is_refused(policy: str) -> None:
    assessment = judged(WHOLE, {**KEPT_FOR_EVER, "cleanup.policy": policy})
    assert [(one.reason, one.is_fatal) for one in assessment.findings] == [(FindingReason.COMPACTED, True)] * 2
    assert assessment.findings[0].sentence.startswith(f"{ITEMS} is compacted: deletions")
    assert "replay all --snapshot --execute" in assessment.findings[0].remedy


def test_a_compacted_topic_of_which_every_offset_is_a_record_has_lost_nothing() -> None:
    every = surveyed(
        PartitionLog(earliest=0, end=9, records=9, snapshots={LAST: rows(0, 3)}, streamed=STREAMED),
        PartitionLog(earliest=0, end=3, records=3),
        ended={LAST},
    )
    assert judged(every, {**KEPT_FOR_EVER, "cleanup.policy": "compact"}) == Assessment(())


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"retention.ms": "604800000"}, "retention.ms=604800000"),
        ({"retention.bytes": "9"}, "retention.bytes=9"),
        ({"retention.ms": "5", "retention.bytes": "9"}, "retention.ms=5 and retention.bytes=9"),
    ],
)
def test_a_retention_that_ends_is_a_warning(config: Mapping[str, str], told: str) -> None:
    assessment = judged(WHOLE, {**KEPT_FOR_EVER, **config})
    assert not assessment.is_refused
    assert assessment.findings[1] == LogFinding(
        FindingReason.RETENTION_LIMITED, f"{ORDERS} has {told}: its oldest records will be deleted"
    )
    assert "retention.ms=-1" in assessment.findings[0].remedy


def test_a_schema_that_the_registry_forgot_is_named_with_its_topic() -> None:
    finding = only(judged(replace(WHOLE, unknown_schemas={ITEMS: frozenset({9, 7}), ORDERS: frozenset()})))
    assert (finding.reason, finding.is_fatal) == (FindingReason.SCHEMA_UNKNOWN, True)
    assert finding.sentence == f"the registry does not know schema 7, 9 of {ITEMS}"
    assert "Restore the registry's storage" in finding.remedy


def test_a_record_that_cannot_be_read_is_named_with_its_place() -> None:
    unreadable = (
        RejectedRecord(ORDERS, 0, 5, "the value is empty, but not null"),
        RejectedRecord(ORDERS, 0, 6, "else"),
    )
    finding = only(judged(replace(WHOLE, unreadable=unreadable, unreadable_counts={ORDERS: 2, ITEMS: 0})))
    assert (finding.reason, finding.is_fatal) == (FindingReason.RECORD_UNREADABLE, True)
    assert finding.sentence == (f"{ORDERS}/0 offset 5 cannot be read: the value is empty, but not null, and 1 more")
    assert "Stop the producer" in finding.remedy


def test_a_topic_that_breaks_the_contract_is_refused() -> None:
    finding = only(judged(replace(WHOLE, broken={ITEMS: MissingColumn("sent without sku")})))
    assert (finding.reason, finding.sentence) == (FindingReason.CONTRACT_BROKEN, f"{ITEMS}: sent without sku")
    assert finding.is_fatal
    assert "readmodels.toml" in finding.remedy


def test_fatal_findings_come_first() -> None:
    assessment = judged(with_orders(WHOLE, earliest=7), {**KEPT_FOR_EVER, "retention.ms": "5"})
    assert [finding.is_fatal for finding in assessment.findings] == [True, False, False]


def test_an_aborted_snapshot_that_was_restarted_is_swept() -> None:
    assessment = judged(RESTARTED)
    assert assessment == Assessment((), tuple(sweep(scope, LAST) for scope in SCOPES))


def test_the_sweep_beats_the_rows_of_the_aborted_snapshot_only() -> None:
    (range_tombstone, _) = judged(RESTARTED).range_tombstones
    swept = Register(None, range_tombstone.to_deletion(partition=0))
    aborted = Register(None, Change(0, ABORTED, ABORTED, 1, 2, 0, deleted=False))
    last = Register(None, Change(0, LAST, LAST, 1, 5, 0, deleted=False))
    in_flight = Register(Change(0, LAST - 10, LAST - 10, 0, 8, 0, deleted=False))
    assert not merge_registers(aborted, swept).is_alive
    assert merge_registers(last, swept).is_alive
    assert merge_registers(aborted, in_flight, swept).is_alive


def test_a_change_that_was_in_flight_is_placed_by_the_rows_before_it() -> None:
    in_flight = StreamedStatistics(first=8, least_lsn=LAST - 10)
    assert judged(with_orders(RESTARTED, streamed=in_flight)).range_tombstones == judged(RESTARTED).range_tombstones


def test_a_change_that_cannot_be_placed_is_refused() -> None:
    finding = only(judged(UNPLACED))
    assert (finding.reason, finding.is_fatal) == (FindingReason.SNAPSHOT_AMBIGUOUS, True)
    assert finding.sentence == (
        f"an aborted snapshot cannot be identified: there are rows of snapshots at LSN {ABORTED}, {LAST}, "
        "and the start of the last one is not recorded"
    )
    assert "replay all --snapshot --execute" in finding.remedy
    assert not judged(UNPLACED).range_tombstones


def test_the_connector_may_report_that_nothing_was_streamed_before() -> None:
    told = SnapshotStatus(has_ended=True, is_first=True, rows=READ_SOME)
    assert judged(replace(UNPLACED, told=told)).range_tombstones == judged(RESTARTED).range_tombstones
    assert judged(replace(UNPLACED, told=replace(told, is_first=False))).is_refused


def test_a_second_snapshot_in_one_epoch_is_refused() -> None:
    assert only(judged(AGAIN)).reason is FindingReason.SNAPSHOT_AMBIGUOUS
    told = SnapshotStatus(has_ended=True, is_first=True, rows=READ_SOME)
    assert judged(replace(AGAIN, told=told)).is_refused


def test_a_second_snapshot_without_a_row_of_the_first_is_refused_too() -> None:
    log = PartitionLog(earliest=0, end=20, snapshots={LAST: rows(9, 12)}, streamed=StreamedStatistics(5, ABORTED + 1))
    assert judged(surveyed(log, PartitionLog(earliest=0, end=0), {LAST})).is_refused


def test_a_second_snapshot_whose_start_was_recorded_is_swept_from_there() -> None:
    recorded = [sweep(scope, LAST, {0: 7}) for scope in SCOPES]
    assert judged(AGAIN, recorded=recorded) == Assessment((), tuple(recorded))


def test_a_record_that_lacks_a_scope_is_not_enough() -> None:
    assert judged(AGAIN, recorded=[sweep("orders", LAST, {0: 7})]).is_refused
    assert judged(AGAIN, recorded=[sweep(scope, ABORTED, {0: 7}) for scope in SCOPES]).is_refused


def test_range_tombstones_of_other_scopes_are_not_passed_on() -> None:
    truncate = RangeTombstone(scope="orders", kind=TombstoneKind.TRUNCATE, epoch=0, commit_lsn=5, lsn=5)
    others = [sweep("customers", LAST), replace(sweep("orders", LAST), epoch=1), truncate]
    assert judged(WHOLE, recorded=others) == Assessment(())


def test_recorded_range_tombstones_of_a_snapshot_are_passed_on_even_if_the_log_is_complete() -> None:
    recorded = [sweep(scope, LAST + 5, {0: 7}) for scope in SCOPES]
    assert judged(WHOLE, recorded=recorded) == Assessment((), tuple(recorded))


def test_every_later_epoch_is_swept_at_the_lsn_of_its_snapshot() -> None:
    for scan in (WHOLE, RESTARTED, UNPLACED):
        assessment = assess(scan, topics(KEPT_FOR_EVER), SCOPES, epoch=2)
        assert assessment == Assessment((), tuple(replace(sweep(scope, LAST), epoch=2) for scope in SCOPES))


def test_a_later_epoch_without_rows_is_swept_below_every_streamed_change() -> None:
    told = SnapshotStatus(has_ended=True, rows=READ_NONE)
    empty = surveyed(PartitionLog(earliest=0, end=9), PartitionLog(earliest=0, end=9), set(), told)
    assessment = assess(empty, topics(KEPT_FOR_EVER), SCOPES, epoch=2)
    assert assessment == Assessment((), tuple(replace(sweep(scope, 1), epoch=2) for scope in SCOPES))


def test_a_later_epoch_is_not_swept_before_its_snapshot_has_started() -> None:
    empty = surveyed(PartitionLog(earliest=0, end=9), PartitionLog(earliest=0, end=9), set())
    assessment = assess(empty, topics(KEPT_FOR_EVER), SCOPES, epoch=2)
    assert (only(assessment).reason, assessment.range_tombstones) == (FindingReason.SNAPSHOT_UNFINISHED, ())


def test_a_first_snapshot_that_has_not_ended_is_refused() -> None:
    finding = only(judged(RUNNING))
    assert (finding.reason, finding.is_fatal) == (FindingReason.SNAPSHOT_UNFINISHED, True)
    assert finding.sentence == f"the snapshot at LSN {LAST} has not ended"
    assert "Wait until the first snapshot has ended" in finding.remedy


def test_a_snapshot_of_which_there_is_no_row_yet_is_waited_for() -> None:
    empty = surveyed(PartitionLog(earliest=0, end=0), PartitionLog(earliest=0, end=0), set(), SnapshotStatus())
    assert only(judged(empty)).sentence == "the snapshot that the connector reports has not ended"
    assert not judged(replace(empty, told=SnapshotStatus(has_ended=True, rows=READ_NONE))).findings


def test_a_second_snapshot_that_has_not_ended_is_refused_though_its_start_was_recorded() -> None:
    recorded = [sweep(scope, LAST, {0: 7}) for scope in SCOPES]
    running = replace(AGAIN, ended_snapshots=frozenset({ABORTED}))
    assert only(judged(running, recorded=recorded)).reason is FindingReason.SNAPSHOT_UNFINISHED


@pytest.mark.parametrize("ended", ["its last row", "what was streamed since", "what the connector tells"])
def test_the_end_of_a_snapshot_is_proved_by(ended: str) -> None:
    proved = {
        "its last row": replace(RUNNING, ended_snapshots=frozenset({LAST})),
        "what was streamed since": with_orders(RUNNING, streamed=STREAMED),
        "what the connector tells": replace(RUNNING, told=SnapshotStatus(has_ended=True, rows=READ_SOME)),
    }
    assert not judged(proved[ended]).is_refused
    assert not judged(proved[ended]).range_tombstones


def test_a_snapshot_without_its_last_row_is_a_warning_if_no_notification_reports_its_end() -> None:
    finding = only(judged(with_orders(RUNNING, streamed=STREAMED)))
    assert (finding.reason, finding.is_fatal) == (FindingReason.SNAPSHOT_END_MISSING, False)
    assert finding.sentence.endswith("a later one may have found no rows")
    assert "readmodels verify" in finding.remedy


def test_rows_of_an_attempt_whose_successor_found_none_are_all_swept() -> None:
    told = SnapshotStatus(has_ended=True, is_first=True, rows=READ_NONE)
    assessment = judged(replace(with_orders(RUNNING, streamed=STREAMED), told=told))
    assert assessment == Assessment((), tuple(sweep(scope, LAST + 1) for scope in SCOPES))


def test_a_second_snapshot_that_found_no_rows_is_refused() -> None:
    told = SnapshotStatus(has_ended=True, is_first=False, rows=READ_NONE)
    finding = only(judged(replace(WHOLE, told=told)))
    assert finding.reason is FindingReason.SNAPSHOT_AMBIGUOUS
    assert f"LSN {LAST}, a later one found no rows, and the start" in finding.sentence


def test_every_finding_has_a_remedy() -> None:
    general = {reason for reason in FindingReason if reason.remedy.endswith(".")}
    assert set(FindingReason) - general == {FindingReason.COLUMN_UNPROVED, FindingReason.COLUMN_UNTRUE}
    with pytest.raises(ValueError, match="has no remedy"):
        LogFinding(FindingReason.COLUMN_UNTRUE, "orders.channel is untrue")


def test_the_scopes_of_a_model_are_its_tables_or_the_parts_of_its_documents() -> None:
    columns = {"id": "bigint"}
    assert scopes_of([RowShape("orders", ("id",), columns), RowShape("lines", ("id",), columns)]) == ["orders", "lines"]
    assert scopes_of([DocumentShape("sales", columns, {"lines": columns})]) == ["sales/", "sales/lines"]


@pytest.mark.parametrize(
    ("free", "reason"), [(99, FindingReason.INSUFFICIENT_SPACE), (199, FindingReason.LOW_SPACE), (200, None)]
)
def test_space_is_lacking_below_a_generation_and_scarce_below_two(free: int, reason: FindingReason | None) -> None:
    findings = DiskSpace("redis", 100 * 2**20, free * 2**20).findings()
    assert [finding.reason for finding in findings] == ([reason] if reason else [])
    assert all(f"redis needs about 100.0 MB more, and has {free}.0 MB" == finding.sentence for finding in findings)


def test_redis_may_take_what_its_limit_leaves_else_what_the_machine_has() -> None:
    told = {"maxmemory": 0, "used_memory": 10, "used_memory_rss": 20, "total_system_memory": 100}
    assert memory_left(told) == 80
    assert memory_left({**told, "maxmemory": 50}) == 40
    assert memory_left({**told, "maxmemory": 5}) == 0


def test_a_table_that_no_snapshot_has_read_is_no_ground_for_a_rebuild() -> None:
    streamed = replace(WHOLE.partitions[ITEMS, 0], snapshots={}, streamed=STREAMED)
    told = SnapshotStatus(has_ended=True, rows={"public.orders": 4})
    lacking = replace(
        WHOLE, told=told, never_read=("public.order_items",), partitions={**WHOLE.partitions, (ITEMS, 0): streamed}
    )
    found = only(judged(lacking))
    assert (found.reason, found.is_fatal) == (FindingReason.SNAPSHOT_MISSING, True)
    assert "public.order_items" in found.sentence
    assert (
        judged(
            replace(lacking, never_read=(), told=replace(told, filled=frozenset({"public.order_items"})))
        ).range_tombstones
        == ()
    )
