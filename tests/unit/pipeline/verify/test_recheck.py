"""Tests of rows that are written during every read: decided by watching both sides, never ignored."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import cast

import pytest

from pipeline.definitions import TableDefinition
from pipeline.stores.read_model import ModelKind
from pipeline.table_view import whole_table
from pipeline.verify.catch_up import CatchUp
from pipeline.verify.comparison_set import ComparisonSet
from pipeline.verify.difference import Difference, DifferenceKind
from pipeline.verify.readers.reader import ModelReader
from pipeline.verify.recheck import Rechecker
from pipeline.verify.source.reader import SourceReader, SourceRow
from pipeline.verify.staging import comparison_store

TABLE = TableDefinition(source="public.things", key=("id",), columns={"id": "text", "n": "bigint"})
THINGS = ComparisonSet("things", whole_table("things", TABLE), ModelKind.DOCUMENT)


def thing(n: int) -> str:
    return json.dumps({"id": "a", "n": n})


class Written:
    """A PostgreSQL in which a session writes the row between any two reads."""

    def __init__(self) -> None:
        self.n = 0

    def some(self, _subject: ComparisonSet, keys: Sequence[str]) -> dict[str, SourceRow]:
        self.n += 1
        return {key: SourceRow(key, thing(self.n), str(self.n), 1) for key in keys}


class Showing:
    """A model with scripted contents, given PostgreSQL's."""

    subjects = (THINGS,)
    refused: Mapping[str, str] = {}

    def __init__(self, written: Written, show: Callable[[int], str | None]) -> None:
        self._written = written
        self._show = show

    def rejected(self, _subject: ComparisonSet, keys: Sequence[str]) -> dict[str, str]:
        return {key: self.refused[key] for key in keys if key in self.refused}

    def lookup(self, _subject: ComparisonSet, keys: Sequence[str]) -> dict[str, str]:
        text = self._show(self._written.n)
        return {} if text is None else dict.fromkeys(keys, text)


ARRIVAL = SimpleNamespace(set_watermark=lambda: None, end_offsets=lambda _: {}, wait=lambda *_: None)


@pytest.fixture(autouse=True)
def briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.verify.recheck.WATCHED_S", 0.05)
    monkeypatch.setattr("pipeline.verify.recheck.WATCHED_EVERY_S", 0.001)


def settled(written: Written, showing: Showing) -> list[Difference]:
    with comparison_store() as sides:
        sides.add_suspects(THINGS, ["a"])
        looks = Rechecker(
            "redis", cast("SourceReader", written), cast("ModelReader", showing), sides, cast("CatchUp", ARRIVAL)
        )
        found = [
            one for findings in looks.resolve(lambda _: None) for finding in findings for one in finding.differences
        ]
        assert not sides.count_suspects()
        return found


def found(show: Callable[[int], str | None]) -> list[DifferenceKind]:
    written = Written()
    return [one.kind for one in settled(written, Showing(written, show))]


def test_a_model_that_follows_a_row_that_never_rests_is_right_about_it() -> None:
    assert found(lambda n: thing(n - 3)) == []


@pytest.mark.parametrize(
    "show",
    [
        lambda _: thing(0),
        lambda n: thing(-n),
        lambda _: None,
    ],
    ids=["it stands still", "it shows what never was", "it shows nothing"],
)
def test_a_model_that_does_not_follow_it_is_never_excused(show: Callable[[int], str | None]) -> None:
    assert found(show) == [DifferenceKind.UNDECIDED]


class Resting(Written):
    """A PostgreSQL in which no session writes the row."""

    def some(self, _subject: ComparisonSet, keys: Sequence[str]) -> dict[str, SourceRow]:
        return {key: SourceRow(key, thing(1), "1", 1) for key in keys}


def test_a_document_that_the_store_refused_is_rejected_for_its_reason_and_not_missing() -> None:
    showing = Showing(Resting(), lambda _: None)
    assert [one.kind for one in settled(Resting(), showing)] == [DifferenceKind.MISSING]
    showing.refused = {"a": "too long"}
    assert settled(Resting(), showing) == [Difference(DifferenceKind.REJECTED, "things", "a", reason="too long")]
