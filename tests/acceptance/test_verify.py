"""Tests of `readmodels verify`: equal models are found equal; manual damage is named and repaired exactly."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from pipeline import read_models
from tests.acceptance.cli_runner import MODELS
from tests.acceptance.manual_edits import BY_HAND, RedisByHand, damage_duckdb
from tests.acceptance.pipeline_fixture import Pipeline
from tests.acceptance.shop import place

Named = set[tuple[str, int, str | None, str | None]]
Document = dict[str, Any]

OLD = "2001-02-03T04:05:06.000007Z"
LOAD_PER_S = 10.0
RUNS = 2


def verified(pipeline: Pipeline, *words: str) -> tuple[int, dict[str, Any]]:
    """Return the exit code, and the one JSON object on standard output."""
    done = pipeline.command("verify", *words, "--json")
    assert done.returncode in (0, 3), done.stderr
    return done.returncode, json.loads(done.stdout)


def named(answer: dict[str, Any]) -> Named:
    """Return kind, key, part and column of every finding."""
    return {(one["kind"], int(one["key"]), one["part"], one["column"]) for one in answer["differences"]}


def repaired(answer: dict[str, Any]) -> dict[int, tuple[int, int]]:
    """Return rows written and deleted, by key of the actual or planned repair."""
    return {int(one["key"]): (one["writes"], one["deletes"]) for one in answer["repairs"]}


def live(pipeline: Pipeline, model: str) -> int:
    with read_models.open_store(model, pipeline.settings) as store:
        generation = store.live()
    assert generation is not None
    return generation


def test_equal_models_are_found_equal(pipeline: Pipeline, order_id: int) -> None:
    place(pipeline.source, order_id, items=2)
    code, answer = verified(pipeline)
    assert (code, answer["is_equal"], answer["differences"]) == (0, True, [])
    compared = {one["model"]: one["rows"] for one in answer["models"]}
    expected = pipeline.logged()
    assert compared["duckdb"] == len(expected.orders) + len(expected.items)
    shown = sum(1 + len(document["items"]) for document in expected.documents.values())
    assert compared["elasticsearch"] == compared["redis"] == shown


def test_a_sample_compares_only_some_rows(pipeline: Pipeline, order_id: int) -> None:
    place(pipeline.source, order_id, items=2)
    pipeline.sql("UPDATE orders SET updated_at = '2101-01-01' WHERE id = %s", order_id)
    [since] = pipeline.source.execute("SELECT count(*) FROM orders WHERE updated_at >= '2100-01-01'").fetchall()
    code, answer = verified(pipeline, "redis", "--since", "2100-01-01")
    assert (code, answer["is_everything"], answer["models"][0]["documents"]) == (0, False, *since)
    code, answer = verified(pipeline, "duckdb", "--sample", "2")
    assert (code, answer["models"][0]["documents"]) == (0, 4)
    pipeline.sql("UPDATE orders SET updated_at = now() WHERE id = %s", order_id)


@pytest.mark.parametrize("model", BY_HAND)
def test_damaged_documents_are_named_and_repaired_exactly_while_writes_continue(
    pipeline: Pipeline, order_id: int, model: str
) -> None:
    ids = range(order_id, order_id + 80, 10)
    for one in ids:
        place(pipeline.source, one, items=2)
    pipeline.settle(model)
    gone, amount, version, lost, item, extra, address, same = ids
    store, phantom = BY_HAND[model](pipeline, live(pipeline, model)), order_id + 90
    with pipeline.load(LOAD_PER_S):
        store.delete(gone)
        store.change(amount, lambda document: document.update(total="12.31"))
        store.change(version, lambda document: document.update(status="shipped", updated_at=OLD))
        store.change(lost, lambda document: document["items"].pop())
        store.change(item, lambda document: document["items"][0].update(sku="", attributes=None))
        store.change(extra, lambda document: document["items"].append({**document["items"][0], "id": 7}))
        store.change(address, lambda document: document["shipping_address"]["geo"].update(lat=35.6))
        store.change(same, lambda document: document.update(shipping_address=backwards(document["shipping_address"])))
        store.copy(same, phantom)
        told = verified(pipeline, model, "--repair")
        untold = verified(pipeline, model)
        done = verified(pipeline, model, "--repair", "--execute")
        after = verified(pipeline, model)
    found = {
        ("missing", gone, None, None),
        ("different", amount, None, "total"),
        ("stale", version, None, "status"),
        ("stale", version, None, "updated_at"),
        ("missing", lost, f"items/{lost + 2}", None),
        ("different", item, f"items/{item + 1}", "sku"),
        ("different", item, f"items/{item + 1}", "attributes"),
        ("phantom", extra, "items/7", None),
        ("different", address, None, "shipping_address"),
        ("phantom", phantom, None, None),
    }
    assert [code for code, _ in (told, untold, done, after)] == [3, 3, 0, 0]
    assert named(told[1]) == named(untold[1]) == named(done[1]) == found
    whole = dict.fromkeys((gone, amount, version, lost, item, address), (3, 0))
    assert repaired(told[1]) == repaired(done[1]) == {**whole, extra: (3, 1), phantom: (0, 3)}
    assert (told[1]["is_executed"], done[1]["is_executed"], done[1]["remaining"]) == (False, True, [])
    [total] = [one for one in told[1]["differences"] if one["column"] == "total"]
    assert (total["model"], total["expected"], total["shown"]) == (model, '"12.30"', '"12.31"')
    for one in ids:
        pipeline.sql("UPDATE orders SET status = 'cancelled' WHERE id = %s", one)
        pipeline.sql("DELETE FROM order_items WHERE id = %s", one + 1)
    place(pipeline.source, phantom, items=1)
    pipeline.settled()


def backwards(value: Document) -> Document:
    """Return the same JSON object, with its keys in reverse order."""
    return dict(reversed(value.items()))


@pytest.mark.parametrize("model", BY_HAND)
def test_changes_of_damaged_documents_stop_nothing_and_a_repair_brings_back_the_rest(
    pipeline: Pipeline, order_id: int, model: str
) -> None:
    shortened, forgotten = order_id, order_id + 10
    for one in (shortened, forgotten):
        place(pipeline.source, one, items=2)
    pipeline.settle(model)
    store = BY_HAND[model](pipeline, live(pipeline, model))
    store.change(shortened, lambda document: document["items"].pop())
    if isinstance(store, RedisByHand):
        store.forget(forgotten)
    else:
        store.delete(forgotten)
    for one in (shortened, forgotten):
        pipeline.sql("UPDATE order_items SET quantity = 9 WHERE id = %s", one + 1)
    pipeline.settle(model)
    code, answer = verified(pipeline, model, "--repair", "--execute")
    assert (code, set(repaired(answer)) - {shortened}) == (0, {forgotten})
    pipeline.settled()
    assert pipeline.workers.is_running


@pytest.fixture
def damaged_rows(pipeline: Pipeline, order_id: int) -> Iterator[tuple[Pipeline, Named]]:
    """Yield rows that were damaged while no worker ran, with the expected findings."""
    ids = range(order_id, order_id + 60, 10)
    for one in ids:
        place(pipeline.source, one, items=1)
    pipeline.settle()
    pipeline.end()
    gone, amount, version, item, address, twice = ids
    damage_duckdb(
        pipeline,
        live(pipeline, "duckdb"),
        f"DELETE FROM registers.orders WHERE id = {gone}",
        f"UPDATE registers.orders SET total = NULL WHERE id = {amount}",
        f"UPDATE registers.orders SET status = 'shipped', updated_at = '{OLD}' WHERE id = {version}",
        f"UPDATE registers.order_items SET quantity = 9 WHERE id = {item + 1}",
        f"UPDATE registers.orders SET shipping_address = 'null' WHERE id = {address}",
        f"INSERT INTO registers.orders SELECT * FROM registers.orders WHERE id = {twice}",
        f"INSERT INTO registers.order_items SELECT * REPLACE ({gone + 2} AS id) FROM registers.order_items"
        f" WHERE id = {gone + 1}",
    )
    yield (
        pipeline,
        {
            ("missing", gone, None, None),
            ("different", amount, None, "total"),
            ("stale", version, None, "status"),
            ("stale", version, None, "updated_at"),
            ("different", item + 1, None, "quantity"),
            ("different", address, None, "shipping_address"),
            ("different", twice, None, None),
            ("phantom", gone + 2, None, None),
        },
    )
    assert verified(pipeline, "duckdb", "--repair", "--execute")[0] == 0


def test_damaged_rows_are_named_and_repaired_exactly_by_the_worker_that_holds_the_files(
    damaged_rows: tuple[Pipeline, Named], order_id: int
) -> None:
    pipeline, found = damaged_rows
    pipeline.keep_running()
    with pipeline.load(LOAD_PER_S):
        told = verified(pipeline, "duckdb", "--repair")
        done = verified(pipeline, "duckdb", "--repair", "--execute")
        after = verified(pipeline, "duckdb")
    assert [code for code, _ in (told, done, after)] == [3, 0, 0]
    assert named(told[1]) == named(done[1]) == found
    expected = {key: (0, 1) if kind == "phantom" else (1, 0) for kind, key, _, _ in found}
    assert repaired(told[1]) == repaired(done[1]) == expected
    pipeline.sql("UPDATE orders SET status = 'cancelled' WHERE id >= %s AND id < %s", order_id, order_id + 60)
    pipeline.settled()
    versions = pipeline.history("orders", order_id)
    assert [version["_op"] for version in versions].count("repair") == 1
    [repair] = [version for version in versions if version["_op"] == "repair"]
    assert (repair["status"], repair["_deleted"], repair["_committed_at"] is None) == ("pending", False, False)
    [deletion] = [version for version in pipeline.history("order_items", order_id + 2) if version["_op"] == "repair"]
    assert deletion["_deleted"]


def test_damaged_rows_are_named_and_repaired_while_no_process_holds_the_files(
    damaged_rows: tuple[Pipeline, Named],
) -> None:
    pipeline, found = damaged_rows
    code, answer = verified(pipeline, "duckdb", "--repair", "--execute")
    assert (code, named(answer), answer["remaining"]) == (0, found, [])
    assert verified(pipeline, "duckdb")[0] == 0


def test_concurrent_writes_are_no_difference(pipeline: Pipeline) -> None:
    with pipeline.load(LOAD_PER_S):
        for _ in range(RUNS):
            code, answer = verified(pipeline)
            assert (code, answer["differences"]) == (0, [])


def test_a_generation_that_is_not_live_is_verified_and_repaired(pipeline: Pipeline, order_id: int) -> None:
    place(pipeline.source, order_id, items=2)
    before = {model: live(pipeline, model) for model in MODELS}
    done = pipeline.command("replay", "all", "--execute")
    assert done.returncode == 0, done.stdout + done.stderr
    try:
        pipeline.settle()
        for model in MODELS:
            assert verified(pipeline, model, "--generation", str(before[model]))[0] == 0
        for model, by_hand in BY_HAND.items():
            by_hand(pipeline, before[model]).delete(order_id)
            code, answer = verified(pipeline, model, "--generation", str(before[model]), "--repair", "--execute")
            assert (code, named(answer)) == (0, {("missing", order_id, None, None)})
            assert verified(pipeline, model)[0] == 0
    finally:
        assert pipeline.command("prune", "--keep", "0", "--execute").returncode == 0
    missing = pipeline.command("verify", "redis", "--generation", str(before["redis"]))
    assert (missing.returncode, missing.stdout) == (1, "")
    assert f"GenerationMissing: redis: there is no generation {before['redis']}" in missing.stderr


@pytest.mark.parametrize(
    "words", [("redis", "--execute"), ("--generation", "1"), ("redis", "duckdb", "--generation", "1")]
)
def test_wrong_usage_ends_with_exit_code_2(pipeline: Pipeline, words: tuple[str, ...]) -> None:
    done = pipeline.command("verify", *words)
    assert (done.returncode, done.stdout) == (2, "")


def test_the_table_and_the_json_report_the_same_differences(pipeline: Pipeline, order_id: int) -> None:
    place(pipeline.source, order_id)
    pipeline.settle("redis")
    BY_HAND["redis"](pipeline, live(pipeline, "redis")).delete(order_id)
    told = pipeline.command("verify", "redis", "--repair")
    assert told.returncode == 3
    assert "redis, would repair" in told.stdout
    assert str(order_id) in told.stdout
    assert "nothing was written" in told.stdout
    done = pipeline.command("verify", "redis", "--repair", "--execute")
    assert done.returncode == 0
    assert "all repaired rows are equal now" in done.stdout


def test_a_paused_model_is_named_if_it_does_not_reach_the_watermark(pipeline: Pipeline, order_id: int) -> None:
    pipeline.settle("redis")
    assert pipeline.command("pause", "redis").returncode == 0
    pipeline.workers.says("event=paused", "model=redis")
    try:
        place(pipeline.source, order_id)
        done = pipeline.command("verify", "redis", "--timeout", "3", "--json")
    finally:
        pipeline.command("resume", "redis")
    assert (done.returncode, done.stdout) == (1, "")
    assert "CatchUpTimeout: redis has not reached the watermark after 3 s" in done.stderr
    assert "readmodels resume" in done.stderr
    assert verified(pipeline, "redis")[0] == 0
