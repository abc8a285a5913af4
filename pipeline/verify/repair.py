"""What mends a difference: the rows as PostgreSQL holds them, written as changes that the ordinary rule admits.

A key that stands in a difference was looked at twice, with a mark between, and its rows were the same both times. So
every change that led to them was committed before the mark, and lies below the mark's LSN in the order of the log;
every change that follows them has a last commit above it. Written at the mark's LSN, with a tie-break above the log's,
the rows beat what they must, and lose to whatever comes.

A document is mended whole: its root and all of its items are written, whichever differs, and a deletion for each item
that it shows and should not. An item that is missing from another document is that document's own difference. Nothing
is deleted unless PostgreSQL, asked for that very row, said that it does not hold it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.definitions import ModelDefinitions
from pipeline.postgres.watermark import Watermark
from pipeline.verify.absence import Absences, Surplus, parts_of
from pipeline.verify.comparison_set import ComparisonSet, ModelKind
from pipeline.verify.difference import Difference
from pipeline.verify.repair_changes import RepairChanges
from pipeline.verify.source.reader import RowImages, SourceReader, SourceRow
from sinks.batch import Batch, Mutations, OffsetRange

MAX_REASON_LENGTH = 5
"""Differences of one document or row that the reason for its repair names."""


@dataclass(frozen=True)
class ConfirmedDifference:
    """What stands of one document or row.

    Args:
        differences: what is wrong with it.
        watermark: the one between the two looks; None where it was not decided whether anything is wrong.
        version: of PostgreSQL's rows, at both looks; None where it holds none.
        shown: what the model shows, as JSON text; None where it shows nothing.
    """

    subject: ComparisonSet
    key: str
    differences: tuple[Difference, ...]
    watermark: Watermark | None = None
    version: str | None = None
    shown: str | None = None


@dataclass(frozen=True)
class Repair:
    """What is written to mend one document or row.

    Args:
        subject: the document or table.
        writes: rows of PostgreSQL.
        deletes: rows that the model shows and PostgreSQL does not hold.
        reason: what differs.
        withheld: which deletions are not made, and why: it was not proved that PostgreSQL lacks those rows.
    """

    subject: str
    key: str
    writes: int
    deletes: int
    reason: str
    withheld: str | None = None


@dataclass(frozen=True)
class RepairMode:
    """How differences are mended.

    Args:
        is_executed: whether the repairs are written, or only told.
    """

    is_executed: bool


def plan_repairs(
    findings: Sequence[ConfirmedDifference],
    watermark: Watermark,
    source: SourceReader,
    definitions: ModelDefinitions,
    epoch: int,
) -> tuple[list[Repair], Batch]:
    """What mends findings of one subject at their one mark, and the batch that does it.

    What was written since it was looked at is left out: the log tells it.

    Args:
        epoch: the one that leads the order of what comes now.
    """
    subject = findings[0].subject
    changes = RepairChanges(definitions, epoch, subject, watermark)
    with source.moment():
        held, images = source.images(subject, [finding.key for finding in findings])
        standing = [finding for finding in findings if finding.version == _version(held.get(finding.key))]
        keys = pa.array([finding.key for finding in standing], pa.string())
        kept = {collection: _among(keys, found) for collection, found in images.items()}
        mutations = list(_images(changes, kept))
        absences = Absences(source, subject, parts_of(mutations))
        surplus = {finding.key: absences.of(finding.key, finding.shown, held.get(finding.key)) for finding in standing}
    writes = _counted(kept)
    mutations += _deletions(changes, surplus)
    repairs = [
        Repair(
            subject.name,
            finding.key,
            writes.get(finding.key, 0),
            len(surplus[finding.key].rows),
            _reason(finding),
            "; ".join(surplus[finding.key].withheld) or None,
        )
        for finding in standing
    ]
    return repairs, Batch(tuple(mutations), span=OffsetRange({}, {}))


def _images(changes: RepairChanges, kept: Mapping[str, RowImages]) -> Iterator[Mutations]:
    for collection, found in kept.items():
        if found.keys:
            yield from changes.images(collection, found.rows)


def _deletions(changes: RepairChanges, surplus: Mapping[str, Surplus]) -> Iterator[Mutations]:
    if changes.subject.form is ModelKind.ROW:
        rows = [row.fields for found in surplus.values() for row in found.rows]
        if rows:
            yield from changes.deletions(rows)
        return
    places = [(key, row.part) for key, found in surplus.items() for row in found.rows]
    if places:
        yield from changes.removals(places)


def _among(keys: pa.Array, found: RowImages) -> RowImages:
    chosen = pc.is_in(pa.array(found.keys, pa.string()), value_set=keys)
    return RowImages(
        [key for key, is_chosen in zip(found.keys, chosen.to_pylist(), strict=True) if is_chosen],
        found.rows.filter(chosen),
    )


def _counted(kept: Mapping[str, RowImages]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for found in kept.values():
        for key in found.keys:
            counts[key] = counts.get(key, 0) + 1
    return counts


def _version(held: SourceRow | None) -> str | None:
    return held.version if held is not None else None


def _reason(finding: ConfirmedDifference) -> str:
    places = [
        " ".join(word for word in (one.kind, one.part, one.column) if word)
        for one in finding.differences[:MAX_REASON_LENGTH]
    ]
    rest = len(finding.differences) - len(places)
    return ", ".join([*places, *([f"and {rest} more"] if rest else [])])
