"""Tests that `verify` reads from PostgreSQL what a document with selected columns shows, and repairs it."""

from __future__ import annotations

import json
from dataclasses import replace

from pipeline.definitions import CollectionDefinition, DocumentDefinition
from pipeline.verify.comparison_set import documents
from pipeline.verify.repair import plan_repairs
from pipeline.verify.source.reader import SourceReader
from tests.integration.test_verify_repair import EPOCH, MARK, finding, parts
from tests.unit.sinks import ships

NAME = "selection_test"
HOLDS = CollectionDefinition(
    table="cargo", parent=("flag", "ship"), exclude=("flag", "ship"), rename={"tons": "t", "slot": "place"}
)
SELECTED = replace(
    ships.CONTRACT,
    documents={
        "ships": DocumentDefinition(
            root="ships", include=("number", "flag", "name"), rename={"flag": "under"}, collections={"holds": HOLDS}
        )
    },
)
(SHIPS,) = documents(SELECTED)


def test_postgresql_writes_the_fields_that_a_document_shows(source: SourceReader) -> None:
    held = source.some(SHIPS, ["P\\:A:7", "C\\\\L:-3"])
    assert json.loads(held["P\\:A:7"].text) == {
        "under": "P:A",
        "number": 7,
        "name": json.loads(held["P\\:A:7"].text)["name"],
        "holds": [
            {"number": 9, "place": "Z", "t": None},
            {"number": 10, "place": "B", "t": "NaN"},
            {"number": 10, "place": "b", "t": "1.500"},
        ],
    }
    assert json.loads(held["C\\\\L:-3"].text) == {"under": "C\\L", "number": -3, "name": None, "holds": []}


def test_a_repair_writes_the_fields_that_a_document_shows_and_deletes_what_it_should_not_show(
    source: SourceReader,
) -> None:
    shown = {"holds": [{"number": 3, "place": "x y"}]}
    repairs, batch = plan_repairs([finding(source, SHIPS, "P\\:A:7", shown)], MARK, source, SELECTED, EPOCH)
    assert ("P\\:A:7", "holds/09223372036854775811 x y", True) in parts(batch)
    assert [(one.writes, one.deletes) for one in repairs] == [(4, 1)]
    images = [row["image"] for mutations in batch.mutations for row in mutations.changes.to_pylist() if row["image"]]
    assert json.loads(images[0]).keys() == {"under", "number", "name"}
    assert all(json.loads(image).keys() == {"number", "place", "t"} for image in images[1:])


FILTERED = replace(
    ships.CONTRACT,
    documents={
        "ships": DocumentDefinition(
            root="ships",
            where="number > 0",
            collections={
                "holds": CollectionDefinition(table="cargo", parent=("flag", "ship"), where="tons is not null")
            },
        )
    },
)


def test_postgresql_leaves_out_the_rows_that_a_filter_hides(source: SourceReader) -> None:
    (subject,) = documents(FILTERED)
    held = source.some(subject, ["P\\:A:7", "C\\\\L:-3"])
    assert held.keys() == {"P\\:A:7"}
    assert [hold["slot"] for hold in json.loads(held["P\\:A:7"].text)["holds"]] == ["B", "b"]


def test_a_repair_removes_the_rows_that_a_filter_hides(source: SourceReader) -> None:
    (subject,) = documents(FILTERED)
    wrong = [finding(source, subject, key, {"holds": []}) for key in ("P\\:A:7", "C\\\\L:-3")]
    _, batch = plan_repairs(wrong, MARK, source, FILTERED, EPOCH)
    assert parts(batch) == {
        ("P\\:A:7", "", False),
        ("C\\\\L:-3", "", True),
        ("P\\:A:7", "holds/09223372036854775817 Z", True),
        ("P\\:A:7", "holds/09223372036854775818 B", False),
        ("P\\:A:7", "holds/09223372036854775818 b", False),
    }
