"""What mends a difference: the rows as PostgreSQL holds them, written as changes that the ordinary rule admits.

A key that stands in a difference was looked at twice, with a mark between, and its rows were the same both times. So
every change that led to them was committed before the mark, and lies below the mark's LSN in the order of the log;
every change that follows them has a last commit above it. Written at the mark's LSN, with a tie-break above the log's,
the rows beat what they must, and lose to whatever comes.

A document is mended whole: its root and all of its items are written, whichever differs, and a deletion for each item
that it shows and should not. An item that is missing from another document is that document's own difference.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.contract import Contract
from pipeline.marks import Mark
from pipeline.verify.difference import Difference
from pipeline.verify.json_value import Malformed, parsed
from pipeline.verify.key_text import key_of
from pipeline.verify.repair_changes import Changes, part_of
from pipeline.verify.source_side import Expected, Images, SourceSide
from pipeline.verify.subject import Form, Subject
from sinks.batch import Batch, Mutations, Span
from sinks.shape import ROOT

LONGEST_REASON = 5
"""Differences of one document or row that the reason for its repair names."""


@dataclass(frozen=True)
class Finding:
    """What stands of one document or row.

    Args:
        differences: what is wrong with it.
        mark: the one between the two looks; None where it was not decided whether anything is wrong.
        version: of PostgreSQL's rows, at both looks; None where it holds none.
        shown: what the model shows, as JSON text; None where it shows nothing.
    """

    subject: Subject
    key: str
    differences: tuple[Difference, ...]
    mark: Mark | None = None
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
    """

    subject: str
    key: str
    writes: int
    deletes: int
    reason: str


@dataclass(frozen=True)
class Mending:
    """How differences are mended.

    Args:
        is_executed: whether the repairs are written, or only told.
    """

    is_executed: bool


def repairs_of(
    findings: Sequence[Finding], mark: Mark, source: SourceSide, contract: Contract, epoch: int
) -> tuple[list[Repair], Batch]:
    """What mends findings of one subject at their one mark, and the batch that does it.

    What was written since it was looked at is left out: the log tells it.

    Args:
        epoch: the one that leads the order of what comes now.
    """
    subject = findings[0].subject
    held, images = source.images(subject, [finding.key for finding in findings])
    standing = [finding for finding in findings if finding.version == _version(held.get(finding.key))]
    keys = pa.array([finding.key for finding in standing], pa.string())
    kept = {collection: _among(keys, found) for collection, found in images.items()}
    surplus = {finding.key: list(_surplus(finding, held.get(finding.key))) for finding in standing}
    changes = Changes(contract, epoch, subject, mark)
    mutations = [*_images(changes, kept), *_deletions(changes, surplus)]
    writes = _counted(kept)
    repairs = [
        Repair(subject.name, finding.key, writes.get(finding.key, 0), len(surplus[finding.key]), _reason(finding))
        for finding in standing
    ]
    return repairs, Batch(tuple(mutations), span=Span({}, {}))


@dataclass(frozen=True)
class _Surplus:
    """A row that a model shows and PostgreSQL does not hold: the root, or an item, by what is shown of it."""

    collection: str
    fields: Mapping[str, Any]


def _surplus(finding: Finding, held: Expected | None) -> Iterator[_Surplus]:
    try:
        seen = parsed(finding.shown) if finding.shown is not None else None
    except Malformed:
        seen = None
    fields: dict[str, Any] = seen if isinstance(seen, dict) else {}
    if held is None:
        yield _Surplus(ROOT, fields)
    expected = parsed(held.text) if held is not None else {}
    for collection, children in finding.subject.collections.items():
        key = children.table.key
        rightful = {key_of(item, key) for item in expected.get(collection, ())}
        items = fields.get(collection)
        for item in items if isinstance(items, list) else ():
            if isinstance(item, dict) and key_of(item, key) not in rightful:
                yield _Surplus(collection, item)


def _images(changes: Changes, kept: Mapping[str, Images]) -> Iterator[Mutations]:
    for collection, found in kept.items():
        if found.keys:
            yield from changes.images(collection, found.rows)


def _deletions(changes: Changes, surplus: Mapping[str, Sequence[_Surplus]]) -> Iterator[Mutations]:
    if changes.subject.form is Form.ROW:
        rows = [one.fields for some in surplus.values() for one in some]
        if rows:
            yield from changes.deletions(rows)
        return
    tables = {name: children.table for name, children in changes.subject.collections.items()}
    places = [
        (key, part)
        for key, some in surplus.items()
        for one in some
        if (part := part_of(one.collection, tables[one.collection], one.fields) if one.collection else ROOT) is not None
    ]
    if places:
        yield from changes.removals(places)


def _among(keys: pa.Array, found: Images) -> Images:
    chosen = pc.is_in(pa.array(found.keys, pa.string()), value_set=keys)
    return Images(
        [key for key, is_chosen in zip(found.keys, chosen.to_pylist(), strict=True) if is_chosen],
        found.rows.filter(chosen),
    )


def _counted(kept: Mapping[str, Images]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for found in kept.values():
        for key in found.keys:
            counts[key] = counts.get(key, 0) + 1
    return counts


def _version(held: Expected | None) -> str | None:
    return held.version if held is not None else None


def _reason(finding: Finding) -> str:
    places = [
        " ".join(word for word in (one.kind, one.part, one.column) if word)
        for one in finding.differences[:LONGEST_REASON]
    ]
    rest = len(finding.differences) - len(places)
    return ", ".join([*places, *([f"and {rest} more"] if rest else [])])
