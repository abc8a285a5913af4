"""Tests of joining two sides in different orders by key."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pytest

from pipeline.definitions import TableDefinition
from pipeline.stores.read_model import ModelKind
from pipeline.table_view import whole_table
from pipeline.verify.comparison_set import ComparisonSet
from pipeline.verify.readers.reader import page
from pipeline.verify.source.reader import SourceRow
from pipeline.verify.staging import PAGE_KEYS, ComparisonStore, comparison_store, digest

TABLE = TableDefinition(source="public.things", key=("id",), columns={"id": "text"})
THINGS = ComparisonSet("things", whole_table("things", TABLE), ModelKind.DOCUMENT)
ROWS = ComparisonSet("things", whole_table("things", TABLE), ModelKind.ROW)


@pytest.fixture
def sides() -> Iterator[ComparisonStore]:
    with comparison_store() as opened:
        yield opened


def expected(**texts: str) -> pa.Table:
    return page(list(texts), list(texts.values()))


def expect(sides: ComparisonStore, subject: ComparisonSet, *pages: pa.Table) -> None:
    for one in pages:
        sides.add_expected(subject, one)
    sides.expected_all()


def disputed(sides: ComparisonStore, subject: ComparisonSet = THINGS) -> list[str]:
    return [key for keys in sides.suspects(subject) for key in keys]


def test_rows_that_differ_or_exist_on_one_side_only_are_suspects(sides: ComparisonStore) -> None:
    expect(sides, THINGS, expected(a="1", b="2", c="3"))
    sides.add_actual(THINGS, expected(d="4", b="2"))
    sides.add_actual(THINGS, expected(a="0"))
    sides.compare(THINGS)
    assert disputed(sides) == ["a", "c", "d"]


def test_a_key_that_a_scan_returns_twice_is_the_same_key(sides: ComparisonStore) -> None:
    expect(sides, THINGS, expected(a="1", b="2"))
    sides.add_actual(THINGS, expected(a="1", b="2"))
    sides.add_actual(THINGS, expected(a="1", b="0"))
    sides.compare(THINGS)
    assert disputed(sides) == ["b"]


def test_a_row_that_a_table_holds_twice_is_in_dispute(sides: ComparisonStore) -> None:
    expect(sides, ROWS, expected(a="1", b="2"))
    sides.add_actual(ROWS, expected(a="1", b="2"))
    sides.add_actual(ROWS, expected(a="1"))
    sides.compare(ROWS)
    assert disputed(sides, ROWS) == ["a"]


def test_a_page_of_digests_is_compared_with_one_of_texts(sides: ComparisonStore) -> None:
    texts = expected(a="1", b="2")
    expect(sides, THINGS, pa.table({"key": ["a", "b"], "digest": [digest("1"), digest("3")]}))
    sides.add_actual(THINGS, texts)
    sides.compare(THINGS)
    assert disputed(sides) == ["b"]


def test_documents_and_rows_of_one_name_are_kept_apart(sides: ComparisonStore) -> None:
    expect(sides, THINGS, expected(a="1"))
    expect(sides, ROWS, expected(b="1"))
    sides.add_actual(ROWS, expected(b="1"))
    sides.compare(ROWS)
    assert sides.count_suspects() == 0
    sides.compare(THINGS)
    assert (disputed(sides), disputed(sides, ROWS)) == (["a"], [])


def test_the_next_model_is_compared_with_the_same_expectation(sides: ComparisonStore) -> None:
    expect(sides, THINGS, expected(a="1"))
    for text, found in (("0", ["a"]), ("1", [])):
        sides.add_actual(THINGS, expected(a=text))
        sides.compare(THINGS)
        assert disputed(sides) == found
        sides.clear(THINGS, found)


def test_keys_may_be_resolved_during_iteration(sides: ComparisonStore) -> None:
    keys = [f"{number:05}" for number in range(3 * PAGE_KEYS)]
    sides.add_suspects(THINGS, keys)
    seen = []
    for some in sides.suspects(THINGS):
        seen += some
        sides.clear(THINGS, some[::2])
    assert seen == keys
    assert disputed(sides) == keys[1::2]


def test_saved_versions_are_found_until_they_are_cleared(sides: ComparisonStore) -> None:
    sides.save_versions(THINGS, {"a": SourceRow("a", "text", "7", 1)})
    assert sides.versions(THINGS, ["a", "b"]) == {"a": ("7", digest("text"))}
    assert sides.versions(ROWS, ["a"]) == {}
    sides.forget_versions()
    assert sides.versions(THINGS, ["a"]) == {}
