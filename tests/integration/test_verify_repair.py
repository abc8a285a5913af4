"""Tests that `verify --repair` writes the same as the pipeline does from the connector's own changes."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from pipeline.ingest.projection import DocumentProjection, RowProjection
from pipeline.postgres.database import Connection
from pipeline.postgres.watermark import Watermark
from pipeline.verify.comparison_set import ComparisonSet, documents, tables
from pipeline.verify.repair import ConfirmedDifference, Repair, plan_repairs
from pipeline.verify.source.reader import SourceReader
from sinks.batch import Batch, OffsetRange
from sinks.ordering.register import NO_OFFSET, NO_PARTITION, REPAIR_TIEBREAK
from tests.integration.type_catalogue import CATALOGUE
from tests.unit.sinks import ships

LSN = 0x16B374D848
MARK = Watermark("", LSN, datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC), {})
EPOCH = 3
PLACED = {
    "_epoch": EPOCH,
    "_is_snapshot": False,
    "_commit_lsn": LSN,
    "_lsn": LSN,
    "_tie": REPAIR_TIEBREAK,
    "_offset": NO_OFFSET,
    "_partition": NO_PARTITION,
}
NAME = "repair_test"
(SHIPS,) = documents(ships.CONTRACT)


def finding(source: SourceReader, subject: ComparisonSet, key: str, shown: object = None) -> ConfirmedDifference:
    held = source.some(subject, [key]).get(key)
    text = None if shown is None else shown if isinstance(shown, str) else json.dumps(shown)
    return ConfirmedDifference(subject, key, (), MARK, held.version if held else None, text)


def mended(source: SourceReader, *findings: ConfirmedDifference) -> tuple[list[Repair], Batch]:
    definitions = CATALOGUE if findings[0].subject.name == "catalogue" else ships.CONTRACT
    return plan_repairs(findings, MARK, source, definitions, EPOCH)


def test_documents_are_written_byte_for_byte_as_the_connectors_changes_would_be(
    source: SourceReader, envelopes: pa.Table
) -> None:
    (subject,) = documents(CATALOGUE)
    keys = list(map(str, range(1, envelopes.num_rows + 1)))
    repairs, batch = mended(source, *(finding(source, subject, key) for key in keys))
    (sent,) = DocumentProjection(CATALOGUE)("catalogue", envelopes).mutations
    (written,) = batch.mutations
    assert images(written.changes) == images(sent.changes)
    assert {(one.key, one.writes, one.deletes) for one in repairs} == {(key, 1, 0) for key in keys}
    assert (batch.span, batch.range_tombstones) == (OffsetRange({}, {}), ())
    assert written.changes.schema == sent.changes.schema


def images(changes: pa.Table) -> dict[str, str]:
    return dict(zip(changes["key"].to_pylist(), changes["image"].to_pylist(), strict=True))


def test_rows_are_written_value_for_value_as_the_connectors_changes_would_be(
    source: SourceReader, envelopes: pa.Table
) -> None:
    (subject,) = tables(CATALOGUE)
    keys = list(map(str, range(1, envelopes.num_rows + 1)))
    _, batch = mended(source, *(finding(source, subject, key) for key in keys))
    (sent,) = RowProjection(CATALOGUE)("catalogue", envelopes).mutations
    written = batch.mutations[0].changes.sort_by("id")
    expected = sent.changes.sort_by("id")
    assert written.schema == expected.schema
    for name in subject.root.columns:
        # Compare as text, because a NaN equals nothing.
        assert written[name].to_string() == expected[name].to_string(), name
    assert written["_op"].unique().to_pylist() == ["repair"]
    assert written["_committed_at"].unique().to_pylist() == [MARK.set_at]
    assert written.select(list(PLACED)).group_by(list(PLACED)).aggregate([]).to_pylist() == [PLACED]


def test_a_document_is_written_whole_and_what_it_should_not_show_is_deleted(source: SourceReader) -> None:
    shown = {"holds": [{"number": 10, "slot": "b"}, {"number": 3, "slot": "x y"}, {"number": "?"}, 7]}
    repairs, batch = mended(source, finding(source, SHIPS, "P\\:A:7", shown))
    assert parts(batch) == {
        ("P\\:A:7", "", False),
        ("P\\:A:7", "holds/09223372036854775817 Z", False),
        ("P\\:A:7", "holds/09223372036854775818 B", False),
        ("P\\:A:7", "holds/09223372036854775818 b", False),
        ("P\\:A:7", "holds/09223372036854775811 x y", True),
    }
    assert [(one.writes, one.deletes, one.withheld) for one in repairs] == [
        (4, 1, "holds not deleted: number is not shown as a value of its type")
    ]
    for mutations in batch.mutations:
        places = mutations.changes.select(list(PLACED))
        assert places.group_by(list(PLACED)).aggregate([]).to_pylist() == [PLACED]


def test_a_document_that_should_not_be_there_is_deleted_with_all_that_it_shows(source: SourceReader) -> None:
    shown = {"flag": "another", "holds": [{"number": 3, "slot": "x"}]}
    _, batch = mended(source, finding(source, SHIPS, "no:1", shown), finding(source, SHIPS, "no:2", "not JSON"))
    assert parts(batch) == {("no:1", "", True), ("no:1", "holds/09223372036854775811 x", True), ("no:2", "", True)}


def parts(batch: Batch) -> set[tuple[str, str, bool]]:
    tables_of_parts = [mutations.changes.select(["key", "part", "_deleted"]) for mutations in batch.mutations]
    return {(row["key"], row["part"], row["_deleted"]) for table in tables_of_parts for row in table.to_pylist()}


def test_a_row_that_should_not_be_there_is_deleted_by_its_key(source: SourceReader) -> None:
    subject = next(one for one in tables(ships.CONTRACT) if one.name == "cargo")
    _, batch = mended(source, finding(source, subject, "3:x", {"number": 3, "slot": "x", "tons": "1.000"}))
    (row,) = [one for mutations in batch.mutations for one in mutations.changes.to_pylist()]
    assert (row["number"], row["slot"], row["tons"], row["_deleted"], row["_op"]) == (3, "x", None, True, "repair")


def test_rows_written_since_they_were_read_are_left_to_the_log(source: SourceReader, writer: Connection) -> None:
    changed, same = finding(source, SHIPS, "P\\:A:7"), finding(source, SHIPS, "C\\\\L:-3")
    writer.execute("UPDATE fleet.cargo SET tons = tons WHERE number = 9")
    repairs, batch = mended(source, changed, same)
    assert [one.key for one in repairs] == ["C\\\\L:-3"]
    assert parts(batch) == {("C\\\\L:-3", "", False)}


def test_a_document_whose_row_postgresql_holds_under_another_text_is_not_deleted(source: SourceReader) -> None:
    repairs, batch = mended(source, finding(source, SHIPS, "P\\:A:07", {"flag": "P:A", "number": 7, "holds": []}))
    [repair] = repairs
    assert (repair.writes, repair.deletes, parts(batch)) == (0, 0, set())
    assert repair.withheld == "ships not deleted: PostgreSQL holds the row, and writes its key in another way"


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("P\\:A:seven", 'invalid input syntax for type integer: "seven"'),
        ("P:A:7", "it has not the 2 columns of a key"),
        ("P\\:A:99999999999", 'value "99999999999" is out of range for type integer'),
    ],
)
def test_a_document_whose_name_is_no_key_is_not_deleted(source: SourceReader, key: str, reason: str) -> None:
    [repair], batch = mended(source, finding(source, SHIPS, key, {"holds": [{"number": 3, "slot": "x"}]}))
    assert (repair.deletes, repair.withheld, parts(batch)) == (0, f"ships not deleted: {reason}", set())
