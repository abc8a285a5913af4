"""Repair of differences: rows as PostgreSQL holds them, written as ordinary changes.

The rows of a confirmed difference were read before and after a watermark, and were the same both times. So every change
that produced them was committed before the watermark and has a lower LSN, and every later change has a higher commit
LSN. The repair is written at the watermark's LSN with a tie-break above the log's. It therefore wins over older changes
and loses to newer ones.

A document is repaired as a whole: its root and all items are written, and items that it should not show are deleted. An
item that is missing from another document is that document's own difference. A row is deleted only after a lookup in
PostgreSQL has proved that it is absent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.definitions import ModelDefinitions
from pipeline.postgres.watermark import Watermark
from pipeline.stores.read_model import ModelKind
from pipeline.verify.absence import Absences, Surplus, parts_of
from pipeline.verify.comparison_set import ComparisonSet
from pipeline.verify.difference import Difference
from pipeline.verify.repair_changes import RepairChanges
from pipeline.verify.source.reader import RowImages, SourceReader, SourceRow
from sinks.batch import Batch, Mutations, OffsetRange

MAX_REASON_LENGTH = 5
"""Maximum number of differences that the reason for one repair names."""


@dataclass(frozen=True)
class ConfirmedDifference:
    """Confirmed difference of one document or row.

    Args:
        differences: its differences.
        watermark: the watermark between the two reads; None if the row is undecided.
        version: version of PostgreSQL's rows at both reads; None if PostgreSQL holds none.
        shown: the model's document or row as JSON text; None if it shows none.
    """

    subject: ComparisonSet
    key: str
    differences: tuple[Difference, ...]
    watermark: Watermark | None = None
    version: str | None = None
    shown: str | None = None


@dataclass(frozen=True)
class Repair:
    """Repair of one document or row.

    Args:
        subject: the document or table.
        writes: number of rows written from PostgreSQL.
        deletes: number of rows deleted because PostgreSQL lacks them.
        reason: the differences.
        withheld: deletions that are not made, with the reason: the absence of those rows was not proved.
    """

    subject: str
    key: str
    writes: int
    deletes: int
    reason: str
    withheld: str | None = None


@dataclass(frozen=True)
class RepairMode:
    """Mode of a repair.

    Args:
        is_executed: whether repairs are written; otherwise they are only reported.
    """

    is_executed: bool


def plan_repairs(
    findings: Sequence[ConfirmedDifference],
    watermark: Watermark,
    source: SourceReader,
    definitions: ModelDefinitions,
    epoch: int,
) -> tuple[list[Repair], Batch]:
    """Return the repairs for findings of one comparison set at one watermark, and the batch that writes them.

    Rows that were written since the recheck are left out because the log contains their changes.

    Args:
        epoch: the ordering epoch of current records.
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
