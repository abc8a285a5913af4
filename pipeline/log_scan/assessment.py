"""Assessment of a scanned log: whether a model can be rebuilt from it, and with which range tombstones. Pure.

Offset zero must exist, nothing may be removed from the middle, every record must be readable, and the log must report
every deleted row. The last requirement concerns compaction, and snapshots (`pipeline.log_scan.snapshot_cases`).

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
from pipeline.log_scan.scan import LogScan
from pipeline.log_scan.snapshot_cases import assess_snapshots
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
