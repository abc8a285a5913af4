"""Tests of the checks of `make chaos`: its fold, its check of readers' answers, and its page."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.chaos import record
from tests.chaos.faults import TARGETS, Kind, fault_of, faults_of
from tests.chaos.fold import Fold
from tests.chaos.monotonic_reads import versions_gone_back
from tests.chaos.readers import Answer, Name, Reader
from tests.chaos.record import Seen
from tests.chaos.report import page
from tests.support.checkout import CHECKOUT

MOMENT = datetime(2026, 1, 2, 3, 4, 5, 6, UTC)
RECORD = CHECKOUT / "docs" / "reference" / "reliability.jsonl"


def order(order_id: int, value: int) -> dict[str, Any]:
    return {"id": order_id, "customer_id": value, "shipping_address": '{"value": 1.50}', "updated_at": MOMENT}


def item(item_id: int, order_id: int, value: int) -> dict[str, Any]:
    return {"id": item_id, "order_id": order_id, "sku": f"SKU-{value}"}


def change(place: tuple[int, int], before: dict[str, Any] | None, after: dict[str, Any] | None) -> dict[str, Any]:
    op = "d" if after is None else "u" if before else "c"
    return {"op": op, "commit_lsn": place[0], "lsn": place[1], "before": before, "after": after}


@pytest.fixture
def fold() -> Fold:
    """Return order 1 with values 10, 11, deleted, 12; item 5 moves from order 1 to order 2."""
    fold = Fold()
    fold.add("orders", change((9, 12), order(1, 10), order(1, 11)))
    fold.add("orders", change((5, 30), None, order(1, 10)))
    fold.add("orders", change((12, 20), order(1, 11), None))
    fold.add("orders", change((12, 25), None, order(1, 12)))
    fold.add("orders", change((5, 30), None, order(1, 10)))
    fold.add("order_items", change((5, 31), None, item(5, 1, 50)))
    fold.add("order_items", change((12, 22), item(5, 1, 50), item(5, 2, 51)))
    return fold


def gone_back(fold: Fold, name: Name, *seen: int | None) -> Sequence[str]:
    reader = Reader("store", lambda: Answer({}, frozenset()), 1.0)
    reader.seen[name] += seen
    return versions_gone_back([reader], fold, {})


def test_the_highest_sequence_wins_in_any_order_and_with_repeats(fold: Fold) -> None:
    told = fold.contents()
    assert told.orders[1]["customer_id"] == 12
    assert told.items == {5: {"id": 5, "order_id": 2, "sku": "SKU-51"}}
    assert told.documents[1]["updated_at"] == "2026-01-02T03:04:05.000006Z"
    assert told.orders[1]["updated_at"] == "1767323045000006"
    assert told.documents[1]["items"] == []
    assert (fold.records, fold.repeated) == (7, 1)


def test_one_place_in_the_log_with_two_images_is_no_log(fold: Fold) -> None:
    with pytest.raises(AssertionError, match="two images"):
        fold.add("orders", change((5, 30), None, order(1, 99)))


@pytest.mark.parametrize("seen", [(10, 11, None, 12), (None, 11, 12), (10, None, 12), (11,), (None, 12)])
def test_a_reader_may_miss_versions(fold: Fold, seen: tuple[int | None, ...]) -> None:
    assert gone_back(fold, Name(1), *seen) == []


@pytest.mark.parametrize("seen", [(11, 10), (12, None), (12, 11), (11, None, 11), (10, 13)])
def test_a_reader_may_see_no_version_again_none_that_never_was_and_no_row_gone_that_is_there(
    fold: Fold, seen: tuple[int | None, ...]
) -> None:
    assert len(gone_back(fold, Name(1), *seen)) == 1


def test_an_item_has_a_history_in_every_order_that_it_was_in(fold: Fold) -> None:
    assert gone_back(fold, Name(1, 5), None, 50, None) == []
    assert gone_back(fold, Name(2, 5), None, 51) == []
    assert len(gone_back(fold, Name(1, 5), 50, None, 50)) == 1
    assert len(gone_back(fold, Name(2, 5), 51, None)) == 1
    assert gone_back(fold, Name(3), None) == []
    assert fold.contents().orders.keys() == {1}


def test_an_item_that_an_answer_no_longer_shows_is_gone_only_where_its_order_is_shown() -> None:
    reader = Reader("store", lambda: Answer({}, frozenset()), 1.0)
    reader.note(Answer({Name(1): 10, Name(1, 5): 50}, frozenset({1})))
    reader.note(Answer({}, frozenset()))
    reader.note(Answer({Name(1): 12}, frozenset({1})))
    assert reader.seen[Name(1)] == [10, None, 12]
    assert reader.seen[Name(1, 5)] == [50, None]
    reader.forget()
    assert reader.seen[Name(1)] == [12]
    assert Name(1, 5) not in reader.seen


def test_a_seed_brings_the_same_faults_again_and_every_target_gets_its_turn() -> None:
    assert faults_of("1/7") == faults_of("1/7")
    drawn = [fault for number in range(300) for fault in faults_of(f"1/{number}")]
    assert {fault.target for fault in drawn} == set(TARGETS)
    assert {fault.kind for fault in drawn} == set(Kind)


def test_a_way_is_disturbed_and_a_process_is_not() -> None:
    chance = random.Random(1)
    assert fault_of("way to redis", chance).disturbance is not None
    assert fault_of("redis", chance).disturbance is None


def seen_cycle(**other: Any) -> Seen:
    told: dict[str, Any] = {
        "seed": "1",
        "number": 3,
        "at": "2026-11-27T11:00:00+00:00",
        "faults": ["worker redis first: kill -9"],
        "records": 10,
        "repeated": 1,
        "answers": 100,
        "failures": 2,
        "took_s": {"log": 0.1, "elasticsearch": 2.0, "redis": 3.0, "duckdb": 1.0},
        "in_models": [],
        "in_log": [],
        "gone_back": [],
        "stopped": [],
        "hung_calls": 0,
        "operator_restarts": 0,
    }
    return Seen(**{**told, **other})


def test_cycles_add_up_in_their_record(tmp_path: Path) -> None:
    file = tmp_path / "record.jsonl"
    assert record.read(file) == []
    cycles = [seen_cycle(), seen_cycle(number=4, in_log=["log orders 1: gone"])]
    for one in cycles:
        record.append(file, one)
    assert record.read(file) == cycles


def test_the_page_names_each_difference_and_the_cycle_to_have_it_again() -> None:
    written = page([seen_cycle(), seen_cycle(number=4, in_log=["log orders 1: gone"])])
    assert "| Cycles, by seed | 2: 1 (2) |" in written
    assert "| **Log against PostgreSQL: differences** | **1** |" in written
    assert "- cycle 1/4 (worker redis first: kill -9), log: log orders 1: gone" in written
    assert "There was none." in page([seen_cycle()])


def test_the_page_in_the_documentation_matches_its_record() -> None:
    cycles = record.read(RECORD)
    assert RECORD.with_suffix(".md").read_text() == page(cycles)
    assert len(cycles) >= 200
    assert all(seen.is_right for seen in cycles)
