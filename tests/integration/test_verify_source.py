"""Tests that PostgreSQL's rows for `verify` equal the pipeline's result for the same rows."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pytest

from pipeline.ingest.json_text import rows_to_json
from pipeline.ingest.projection import RowProjection
from pipeline.postgres.database import Connection
from pipeline.verify.comparison_set import documents, tables
from pipeline.verify.difference import differences
from pipeline.verify.readers.duckdb_text import json_text, key_text
from pipeline.verify.source.reader import InvalidSince, Snapshot, SourceReader, snapshot
from pipeline.verify.staging import digest
from sinks.batch import Batch, OffsetRange
from sinks.duckdb.store import DuckdbStore
from sinks.shape import RowShape
from tests.golden.catalogue import COLUMNS, VARIANTS
from tests.integration.type_catalogue import CATALOGUE
from tests.unit.sinks import ships

NAME = "verify_test"


def test_every_type_is_written_as_documents_have_it(source: SourceReader, envelopes: pa.Table) -> None:
    (subject,) = documents(CATALOGUE)
    made = rows_to_json(envelopes["after"].combine_chunks(), dict(COLUMNS)).to_pylist()
    keys = [str(number) for number in range(1, len(made) + 1)]
    held = source.some(subject, keys)
    assert {key: differences(subject, key, held[key].text, text) for key, text in zip(keys, made, strict=True)} == {
        key: [] for key in keys
    }


def test_every_type_is_written_as_duckdb_shows_it(source: SourceReader, envelopes: pa.Table, tmp_path: Path) -> None:
    (subject,) = tables(CATALOGUE)
    projected = RowProjection(CATALOGUE)("catalogue", envelopes)
    # The shape of an older generation, in which a numeric without precision is text of any length.
    with closing(DuckdbStore(tmp_path, [RowShape("catalogue", ("id",), COLUMNS)])) as store:
        sink = store.sink(1)
        sink.prepare()
        sink.write(
            Batch(
                projected.mutations,
                projected.range_tombstones,
                OffsetRange({("catalogue", 0): 0}, {("catalogue", 0): 99}),
            )
        )
        sink.cutover()
        query = f"SELECT {key_text(subject.root)}, {json_text(subject.root)} FROM catalogue"
        shown = dict(store.instance().execute(query).fetchall())
    held = source.some(subject, list(shown))
    assert len(shown) == len(held) == len(VARIANTS["avro"].rows)
    assert {key: differences(subject, key, held[key].text, text) for key, text in shown.items()} == {
        key: [] for key in shown
    }


def test_keys_of_several_columns_are_written_and_found(url: str, source: SourceReader) -> None:
    (subject,) = documents(ships.CONTRACT)
    held = source.some(subject, ["P\\:A:7", "C\\\\L:-3", "P:A:7", "nobody"])
    assert held.keys() == {"P\\:A:7", "C\\\\L:-3"}
    document = json.loads(held["P\\:A:7"].text)
    assert [(hold["number"], hold["slot"], hold["tons"]) for hold in document["holds"]] == [
        (9, "Z", None),
        (10, "B", "NaN"),
        (10, "b", "1.500"),
    ]
    assert {key: one.rows for key, one in held.items()} == {"P\\:A:7": 4, "C\\\\L:-3": 1}
    assert json.loads(held["C\\\\L:-3"].text) == {
        "flag": "C\\L",
        "number": -3,
        "name": None,
        "crew": None,
        "seen_at": "-infinity",
        "holds": [],
    }
    with snapshot(url) as then:
        assert everything(then) == {key: digest(one.text) for key, one in held.items()}


def everything(then: Snapshot) -> dict[str, str]:
    (subject,) = documents(ships.CONTRACT)
    pages = [page.to_pylist() for page in then.pages(subject)]
    return {row["key"]: row["digest"] for page in pages for row in page}


def test_a_snapshot_shows_nothing_that_was_committed_since(url: str, writer: Connection) -> None:
    with snapshot(url) as then:
        writer.execute("INSERT INTO fleet.ships VALUES ('LR', 1)")
        assert "LR:1" not in everything(then)
    with snapshot(url) as now:
        assert "LR:1" in everything(now)
    writer.execute("DELETE FROM fleet.ships WHERE flag = 'LR'")


def test_the_version_of_a_document_changes_with_every_write_to_a_row_of_it(
    source: SourceReader, writer: Connection
) -> None:
    (subject,) = documents(ships.CONTRACT)
    versions = [source.some(subject, ["P\\:A:7"])["P\\:A:7"].version for _ in range(2)]
    assert versions[0] == versions[1]
    for change in (
        "UPDATE fleet.ships SET name = name",
        "UPDATE fleet.cargo SET tons = tons WHERE number = 9",
        "DELETE FROM fleet.cargo WHERE number = 9",
        "INSERT INTO fleet.cargo VALUES (9, 'Z', 'P:A', 7, NULL)",
    ):
        writer.execute(change.encode())
        versions.append(source.some(subject, ["P\\:A:7"])["P\\:A:7"].version)
    assert len(set(versions)) == 5


def test_rows_since_a_time_are_chosen_by_any_of_their_times(source: SourceReader) -> None:
    (subject,) = documents(ships.CONTRACT)
    assert source.keys_since(subject, "2026-01-01") == ["P\\:A:7"]
    assert source.keys_since(subject, "2026-02-01") == []
    assert sorted(source.any_keys(subject, 5)) == ["C\\\\L:-3", "P\\:A:7"]
    with pytest.raises(InvalidSince, match="yesterdayish"):
        source.keys_since(subject, "yesterdayish")
    cargo = next(one for one in tables(ships.CONTRACT) if one.name == "cargo")
    with pytest.raises(InvalidSince, match="cargo has no column"):
        source.keys_since(cargo, "2026-01-01")


def test_a_key_that_no_row_can_have_is_not_there(source: SourceReader) -> None:
    (subject,) = documents(CATALOGUE)
    assert source.some(subject, ["", "x", "1x", "9" * 40, "1; DROP TABLE catalogue", "-"]) == {}


def test_every_type_is_read_as_the_connector_sends_it(source: SourceReader, envelopes: pa.Table) -> None:
    (subject,) = documents(CATALOGUE)
    sent = envelopes["after"].combine_chunks()
    keys = [str(number) for number in range(1, len(sent) + 1)]
    held, images = source.images(subject, keys)
    found = dict(zip(images[""].keys, images[""].rows, strict=True))
    assert images[""].rows.type == sent.type
    assert held.keys() == found.keys() == set(keys)
    for key, row in zip(keys, sent, strict=True):
        # A NaN equals nothing, but its text is comparable.
        wrong = [name for name in COLUMNS if not found[key][name].equals(row[name]) and str(found[key][name]) != "nan"]
        assert {name: str(found[key][name]) for name in wrong} == {name: str(row[name]) for name in wrong}
