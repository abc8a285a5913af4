"""Rows that are written during every look: decided by watching both sides, and never excused."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import cast

import pytest

from pipeline.contract import Table
from pipeline.verify.arrival import Arrival
from pipeline.verify.difference import Kind
from pipeline.verify.looks import Looks
from pipeline.verify.scratch import scratch
from pipeline.verify.shown import Shown
from pipeline.verify.source_side import Expected, SourceSide
from pipeline.verify.subject import Form, Subject

TABLE = Table(source="public.things", key=("id",), columns={"id": "text", "n": "bigint"})
THINGS = Subject("things", TABLE, Form.DOCUMENT)


def thing(n: int) -> str:
    return json.dumps({"id": "a", "n": n})


class Written:
    """PostgreSQL, where somebody writes the row between any two looks at it."""

    def __init__(self) -> None:
        self.n = 0

    def some(self, _subject: Subject, keys: Sequence[str]) -> dict[str, Expected]:
        self.n += 1
        return {key: Expected(key, thing(self.n), str(self.n), 1) for key in keys}


class Showing:
    """A model that shows what it is told to, given what PostgreSQL holds."""

    subjects = (THINGS,)

    def __init__(self, written: Written, show: Callable[[int], str | None]) -> None:
        self._written = written
        self._show = show

    def some(self, _subject: Subject, keys: Sequence[str]) -> dict[str, str]:
        text = self._show(self._written.n)
        return {} if text is None else dict.fromkeys(keys, text)


ARRIVAL = SimpleNamespace(mark=lambda: None, ends=lambda _: {}, wait=lambda *_: None)


@pytest.fixture(autouse=True)
def briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.verify.looks.WATCHED_S", 0.05)
    monkeypatch.setattr("pipeline.verify.looks.WATCHED_EVERY_S", 0.001)


def found(show: Callable[[int], str | None]) -> Iterator[Kind]:
    written = Written()
    with scratch() as sides:
        sides.dispute(THINGS, ["a"])
        looks = Looks(
            "redis",
            cast("SourceSide", written),
            cast("Shown", Showing(written, show)),
            sides,
            cast("Arrival", ARRIVAL),
        )
        for findings in looks.settle(lambda _: None):
            for finding in findings:
                yield from (difference.kind for difference in finding.differences)
        assert not sides.count_disputed()


def test_a_model_that_follows_a_row_that_never_rests_is_right_about_it() -> None:
    assert list(found(lambda n: thing(n - 3))) == []


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
    assert list(found(show)) == [Kind.UNDECIDED]
