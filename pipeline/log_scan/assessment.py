"""Assessment of a scanned log: whether a model can be rebuilt from it, and with which range tombstones. Pure.

Offset zero must exist, nothing may be removed from the middle, every record must be readable, and the log must report
every deleted row. The last requirement concerns snapshots and compaction.

**Snapshots.** A snapshot reads existing rows and reports no deletions. If an attempt was interrupted and started again,
the log keeps rows that were deleted in between; a second snapshot has the same effect. If the log is complete, a sweep
at the last snapshot's LSN corrects that: it supersedes the rows of earlier snapshots, and loses to the last one's rows
and to later streamed changes. Changes streamed *before* the last snapshot must be swept too, so the sweep needs the
offsets at which the snapshot began. Offset zero is right if nothing was streamed before it. There are three proofs of
that: every streamed change was committed at or past its LSN; or lies after one of its rows in the same partition; or
the connector reports that no earlier attempt was completed (it streams nothing until one is). Otherwise only a range
tombstone recorded when the snapshot was started has these offsets.

If no snapshot has read a table, its older rows are missing in the log, even if the snapshot has ended: the table was
captured later, or the snapshot failed before its first row. An incremental snapshot of the table supplies them.

A snapshot is complete if its last row, which Debezium marks, is in the log; or if anything was streamed; or if the
connector reports it. If the next attempt found no rows at all, the log contains no record with its LSN. Then only the
connector reports that attempt, and the sweep is placed just above the known LSN.

**Compaction** is refused if a single offset is missing, even though transactions leave gaps of their own. It may have
removed deletions after `delete.retention.ms`. Of a row that a snapshot repeated it keeps the late repeat, and drops the
change that ranks higher. Gaps do not show their cause: one offset is a commit marker or a removed record, two are an
aborted record and its marker or two removed records, and markers are removed in turn. So only a log in which every
offset is a record proves that nothing was removed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from connectors.topics import UNLIMITED, Topic
from pipeline.log_scan.finding import FindingReason, LogFinding
from pipeline.log_scan.scan import LogScan, PartitionLog
from sinks.ordering.range_tombstone import RangeTombstone, RangeTombstones, TombstoneKind
from sinks.shape import ROOT, RowShape, Shape, tombstone_scope


@dataclass(frozen=True)
class Assessment:
    """Result of an assessment.

    Args:
        findings: the findings, fatal ones first.
        range_tombstones: range tombstones to apply to the new generation before the log.
    """

    findings: tuple[LogFinding, ...]
    range_tombstones: tuple[RangeTombstone, ...] = ()

    @property
    def is_refused(self) -> bool:
        """True if any finding is fatal."""
        return any(finding.is_fatal for finding in self.findings)


def scopes_of(shapes: Iterable[Shape]) -> list[str]:
    """Return the tombstone scopes of a model with these shapes."""
    scopes = []
    for shape in shapes:
        if isinstance(shape, RowShape):
            scopes.append(shape.table)
        else:
            scopes += [tombstone_scope(shape.name, collection) for collection in (ROOT, *shape.collections)]
    return scopes


def assess(
    scan: LogScan,
    topics: Mapping[str, Topic],
    scopes: Sequence[str],
    recorded: Sequence[RangeTombstone] = (),
    epoch: int = 0,
) -> Assessment:
    """Decide whether a model can be rebuilt from a log, and with which range tombstones.

    Args:
        topics: the described topics, by name.
        scopes: scopes of the model, see `scopes_of`.
        recorded: range tombstones that were recorded when a snapshot was started, such as those of the live generation.
        epoch: the current epoch of the log.
    """
    kept = [range_tombstone for range_tombstone in recorded if _is_of(range_tombstone, scopes, epoch)]
    swept, about_snapshots = assess_snapshots(scan, scopes, kept, epoch)
    findings = [
        *_topics(scan, topics),
        *_starts(scan),
        *_schemas(scan),
        *_records(scan),
        *about_snapshots,
    ]
    # If two sweeps have the same LSN, keep the recorded one: only it has start offsets.
    range_tombstones = RangeTombstones().merge([*kept, *swept])
    return Assessment(tuple(sorted(findings, key=lambda finding: not finding.is_fatal)), tuple(range_tombstones))


def _is_of(range_tombstone: RangeTombstone, scopes: Sequence[str], epoch: int) -> bool:
    return (
        range_tombstone.kind is TombstoneKind.SNAPSHOT_END
        and range_tombstone.scope in scopes
        and range_tombstone.epoch == epoch
    )


def _topics(scan: LogScan, topics: Mapping[str, Topic]) -> Iterator[LogFinding]:
    for name in (*scan.missing, *scan.topics):
        if name not in topics:
            yield LogFinding(FindingReason.TOPIC_MISSING, f"topic {name} does not exist")
            continue
        # Topic ids and partition counts are not compared here. Epochs record them (`pipeline.epochs.fingerprint`).
        config = topics[name].config
        policies = config.get("cleanup.policy", "delete").split(",")
        if "compact" in policies and not _is_whole(scan, name):
            yield LogFinding(
                FindingReason.COMPACTED,
                f"{name} is compacted: deletions and newer versions of repeated rows may be gone",
            )
        limits = {key: config.get(key, UNLIMITED) for key in ("retention.ms", "retention.bytes")}
        if "delete" in policies and any(limit != UNLIMITED for limit in limits.values()):
            told = " and ".join(f"{key}={limit}" for key, limit in limits.items() if limit != UNLIMITED)
            yield LogFinding(FindingReason.RETENTION_LIMITED, f"{name} has {told}: its oldest records will be deleted")


def _is_whole(scan: LogScan, topic: str) -> bool:
    """Return whether every offset of a topic is a record that was read."""
    logs = [one for (name, _), one in scan.partitions.items() if name == topic]
    return all(one.records == one.end - one.earliest for one in logs)


def _starts(scan: LogScan) -> Iterator[LogFinding]:
    gone = {
        topic_partition: one.earliest for topic_partition, one in sorted(scan.partitions.items()) if one.earliest > 0
    }
    if gone:
        places = ", ".join(f"{topic}/{partition} begins at {offset}" for (topic, partition), offset in gone.items())
        yield LogFinding(FindingReason.OFFSET_ZERO_GONE, f"first segment deleted: offset zero is gone. {places}")


def _schemas(scan: LogScan) -> Iterator[LogFinding]:
    for topic, ids in sorted(scan.unknown_schemas.items()):
        named = ", ".join(map(str, sorted(ids)))
        if ids:
            yield LogFinding(FindingReason.SCHEMA_UNKNOWN, f"the registry does not know schema {named} of {topic}")


def _records(scan: LogScan) -> Iterator[LogFinding]:
    for topic, error in sorted(scan.broken.items()):
        yield LogFinding(FindingReason.CONTRACT_BROKEN, f"{topic}: {error}")
    for topic, count in sorted(scan.unreadable_counts.items()):
        first = next((one for one in scan.unreadable if one.topic == topic), None)
        if first is not None:
            others = f", and {count - 1} more" if count > 1 else ""
            place = f"{topic}/{first.partition} offset {first.offset}"
            yield LogFinding(FindingReason.RECORD_UNREADABLE, f"{place} cannot be read: {first.reason}{others}")


def assess_snapshots(
    scan: LogScan, scopes: Sequence[str], recorded: Sequence[RangeTombstone], epoch: int
) -> tuple[list[RangeTombstone], list[LogFinding]]:
    """Return the sweeps that the log lacks, and the findings about its snapshots.

    Every epoch but the first begins with a snapshot that has to sweep earlier rows.
    """
    lsns, told = scan.snapshot_lsns, scan.told
    last = lsns[-1] if lsns else None
    logs = scan.partitions.values()
    is_after_streamed = any(_streamed_before(last, one) for one in logs)
    is_streamed_since = any(one.streamed for one in logs) and not is_after_streamed
    has_its_end = last in scan.ended_snapshots
    is_told_ended = told is not None and told.has_ended
    if (last or told) and not (has_its_end or is_streamed_since or is_told_ended):
        which = f"the snapshot at LSN {last}" if last else "the snapshot that the connector reports"
        return [], [LogFinding(FindingReason.SNAPSHOT_UNFINISHED, f"{which} has not ended")]
    if scan.never_read:
        named = ", ".join(scan.never_read)
        return [], [
            LogFinding(FindingReason.SNAPSHOT_MISSING, f"no snapshot has read {named}: older rows are not in the log")
        ]
    if last is None and told is None and epoch > 0:
        return [], [
            LogFinding(FindingReason.SNAPSHOT_UNFINISHED, f"the snapshot that begins epoch {epoch} has not begun")
        ]
    if last is None:
        # The tables are empty. LSN 1 ranks below every streamed change of this epoch, and above every earlier epoch.
        return ([] if epoch == 0 else _sweeps(scopes, epoch, 1)), []
    doubts = [] if has_its_end or is_told_ended else [_no_end(last)]
    is_followed_by_none = is_told_ended and _read_none(scan)
    level = last + 1 if is_followed_by_none else last
    if epoch == 0 and len(lsns) == 1 and level == last and not is_after_streamed:
        return [], doubts
    if {range_tombstone.scope for range_tombstone in recorded if range_tombstone.lsn >= level} >= {*scopes}:
        return [], doubts
    # Every epoch but the first begins while the connector is stopped, and so with its snapshot.
    is_placed = epoch > 0 or (not is_followed_by_none and all(_is_placed(last, one) for one in logs))
    is_told_first = told is not None and told.is_first
    if is_after_streamed or not (is_placed or is_told_first):
        return [], [_ambiguous(lsns, is_followed_by_none=is_followed_by_none), *doubts]
    return _sweeps(scopes, epoch, level), doubts


def _sweeps(scopes: Iterable[str], epoch: int, lsn: int) -> list[RangeTombstone]:
    return [
        RangeTombstone(scope=one, kind=TombstoneKind.SNAPSHOT_END, epoch=epoch, commit_lsn=lsn, lsn=lsn)
        for one in scopes
    ]


def _ambiguous(lsns: Sequence[int], *, is_followed_by_none: bool) -> LogFinding:
    known = f"there are rows of snapshots at LSN {', '.join(map(str, lsns))}"
    later = ", a later one found no rows" if is_followed_by_none else ""
    sentence = (
        f"an aborted snapshot cannot be identified: {known}{later}, and the start of the last one is not recorded"
    )
    return LogFinding(FindingReason.SNAPSHOT_AMBIGUOUS, sentence)


def _no_end(lsn: int) -> LogFinding:
    sentence = (
        f"the last row of the snapshot at LSN {lsn} is not in the log, and the connector reports nothing about it"
    )
    return LogFinding(FindingReason.SNAPSHOT_END_MISSING, f"{sentence}: a later one may have found no rows")


def _read_none(scan: LogScan) -> bool:
    """Return whether the connector reports that the last snapshot read all of these tables and found no rows."""
    rows = scan.told.rows if scan.told else {}
    told = {topic: [count for table, count in rows.items() if topic.endswith(f".{table}")] for topic in scan.topics}
    return all(counts == [0] for counts in told.values())


def _streamed_before(lsn: int | None, log: PartitionLog) -> bool:
    """Return whether a change was streamed before a row of this snapshot."""
    rows = log.snapshots.get(lsn) if lsn is not None else None
    return rows is not None and log.streamed is not None and log.streamed.first < rows.last


def _is_placed(lsn: int, log: PartitionLog) -> bool:
    """Return whether everything streamed here was provably streamed after this snapshot began."""
    return log.streamed is None or log.streamed.least_lsn >= lsn or lsn in log.snapshots
