"""Tests of the remedy for a rebuilt generation that differs from PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from pipeline.generations.difference_remedy import remedy_of_unequal
from pipeline.verify.difference import DifferenceKind
from tests.remedies.commands import commands

DESCRIBED = ("orders", "order items")


@pytest.mark.parametrize(
    ("kinds", "doubtful", "said"),
    [
        ([DifferenceKind.DIFFERENT], ["orders", "orders"], [["snapshot", "orders", "--execute"]]),
        ([DifferenceKind.MISSING], ["order items"], [["snapshot", "order items", "--execute"]]),
        ([DifferenceKind.STALE], [], [["snapshot", "orders", "--execute"], ["snapshot", "order items", "--execute"]]),
    ],
)
def test_rows_with_values_that_no_event_contained_are_sent_again(
    kinds: list[DifferenceKind], doubtful: Sequence[str], said: list[list[str]]
) -> None:
    remedy = remedy_of_unequal("redis", 3, kinds, doubtful, DESCRIBED)
    assert commands(remedy) == [*said, ["replay", "redis", "--execute"]]


def test_missing_deletions_are_not_repaired_by_a_snapshot_of_the_table() -> None:
    remedy = remedy_of_unequal("redis", 3, [DifferenceKind.DIFFERENT, DifferenceKind.PHANTOM], [], DESCRIBED)
    named, rebuilt = commands(remedy)
    assert named == ["verify", "redis", "--generation", "3"]
    assert rebuilt == ["replay", "redis", "--snapshot", "--execute"]
