"""`readmodels verify`: equal models are found equal, and damage done by hand is named, exactly."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

from pipeline import read_models
from tests.acceptance.damage import ElasticsearchByHand, RedisByHand, StoreByHand
from tests.acceptance.running import Pipeline
from tests.acceptance.shop import place

Named = set[tuple[str, int, str | None, str | None]]
Document = dict[str, Any]

OLD = "2001-02-03T04:05:06.000007Z"
RUNS = 2
BY_HAND: dict[str, Callable[[Pipeline], StoreByHand]] = {
    "elasticsearch": lambda pipeline: ElasticsearchByHand(pipeline.endpoints.elasticsearch),
    "redis": lambda pipeline: RedisByHand(pipeline.redis()),
}


def verified(pipeline: Pipeline, *words: str) -> tuple[int, dict[str, Any]]:
    """The exit code, and the one JSON object on standard output."""
    done = pipeline.command("verify", *words, "--json")
    assert done.returncode in (0, 3), done.stderr
    return done.returncode, json.loads(done.stdout)


def named(answer: dict[str, Any]) -> Named:
    """Kind, key, part and column of everything that was found."""
    return {(one["kind"], int(one["key"]), one["part"], one["column"]) for one in answer["differences"]}


def test_equal_models_are_found_equal(pipeline: Pipeline, order_id: int) -> None:
    place(pipeline.source, order_id, items=2)
    code, answer = verified(pipeline)
    assert (code, answer["is_equal"], answer["differences"]) == (0, True, [])
    compared = {one["model"]: one["rows"] for one in answer["models"]}
    expected = pipeline.logged()
    rows = len(expected.orders) + len(expected.items)
    assert compared["duckdb"] == rows
    assert (
        compared["elasticsearch"]
        == compared["redis"]
        == sum(1 + len(document["items"]) for document in expected.documents.values())
    )


def test_a_quick_look_compares_some(pipeline: Pipeline, order_id: int) -> None:
    place(pipeline.source, order_id, items=2)
    pipeline.sql("UPDATE orders SET updated_at = '2101-01-01' WHERE id = %s", order_id)
    code, answer = verified(pipeline, "redis", "--since", "2100-01-01")
    assert (code, answer["is_everything"], answer["models"][0]["documents"]) == (0, False, 1)
    code, answer = verified(pipeline, "duckdb", "--sample", "2")
    assert (code, answer["models"][0]["documents"]) == (0, 4)


@pytest.mark.parametrize("model", BY_HAND)
def test_damage_to_documents_is_named_by_kind_key_and_column(pipeline: Pipeline, order_id: int, model: str) -> None:
    ids = range(order_id, order_id + 80, 10)
    for one in ids:
        place(pipeline.source, one, items=2)
    pipeline.settle(model)
    gone, amount, version, lost, item, extra, address, same = ids
    store, phantom = BY_HAND[model](pipeline), order_id + 90
    with store.restored(*ids, phantom):
        store.delete(gone)
        store.change(amount, lambda document: document.update(total="12.31"))
        store.change(version, lambda document: document.update(status="shipped", updated_at=OLD))
        store.change(lost, lambda document: document["items"].pop())
        store.change(item, lambda document: document["items"][0].update(sku="", attributes=None))
        store.change(extra, lambda document: document["items"].append({**document["items"][0], "id": 7}))
        store.change(address, lambda document: document["shipping_address"]["geo"].update(lat=35.6))
        store.change(same, lambda document: document.update(shipping_address=backwards(document["shipping_address"])))
        store.copy(same, phantom)
        code, answer = verified(pipeline, model)
    assert code == 3
    assert named(answer) == {
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
    [total] = [one for one in answer["differences"] if one["column"] == "total"]
    assert (total["model"], total["expected"], total["shown"]) == (model, '"12.30"', '"12.31"')
    assert verified(pipeline, model)[0] == 0


def backwards(value: Document) -> Document:
    """The same JSON object, with its keys in another order."""
    return dict(reversed(value.items()))


def test_damage_to_rows_is_named_whether_or_not_a_worker_holds_them(pipeline: Pipeline, order_id: int) -> None:
    ids = range(order_id, order_id + 50, 10)
    for one in ids:
        place(pipeline.source, one, items=1)
    pipeline.settle()
    pipeline.end()
    gone, amount, version, item, address = ids
    with damaged_duckdb(
        pipeline,
        f"DELETE FROM registers.orders WHERE id = {gone}",
        f"UPDATE registers.orders SET total = NULL WHERE id = {amount}",
        f"UPDATE registers.orders SET status = 'shipped', updated_at = '{OLD}' WHERE id = {version}",
        f"UPDATE registers.order_items SET quantity = 9 WHERE id = {item + 1}",
        f"UPDATE registers.orders SET shipping_address = 'null' WHERE id = {address}",
        "INSERT INTO registers.order_items SELECT * REPLACE (7 AS id) FROM registers.order_items"
        f" WHERE id = {gone + 1}",
    ):
        alone = verified(pipeline, "duckdb")
        pipeline.keep_running()
        served = verified(pipeline, "duckdb")
        pipeline.end()
    assert alone[0] == served[0] == 3
    assert (
        named(alone[1])
        == named(served[1])
        == {
            ("missing", gone, None, None),
            ("different", amount, None, "total"),
            ("stale", version, None, "status"),
            ("stale", version, None, "updated_at"),
            ("different", item + 1, None, "quantity"),
            ("different", address, None, "shipping_address"),
            ("phantom", 7, None, None),
        }
    )
    assert verified(pipeline, "duckdb")[0] == 0


@contextmanager
def damaged_duckdb(pipeline: Pipeline, *statements: str) -> Iterator[None]:
    """The live file changed by hand, and put back afterwards; no worker may hold it."""
    with closing(read_models.open_duckdb(pipeline.settings)) as store:
        live = store.live()
        assert live is not None
        kept = shutil.copy(store.path(live), store.path(live).with_suffix(".kept"))
        with store.connection(live) as connection:
            for statement in statements:
                assert connection.execute(statement).fetchall() == [(1,)], statement
    try:
        yield
    finally:
        shutil.move(kept, store.path(live))


def test_writes_that_go_on_are_no_difference(pipeline: Pipeline) -> None:
    with pipeline.load(orders_per_s=10):
        for _ in range(RUNS):
            code, answer = verified(pipeline)
            assert (code, answer["differences"]) == (0, [])


def test_a_paused_model_is_named_when_it_does_not_reach_the_mark(pipeline: Pipeline, order_id: int) -> None:
    pipeline.settle("redis")
    assert pipeline.command("pause", "redis").returncode == 0
    pipeline.workers.says("event=paused", "model=redis")
    try:
        place(pipeline.source, order_id)
        done = pipeline.command("verify", "redis", "--timeout", "3", "--json")
    finally:
        pipeline.command("resume", "redis")
    assert (done.returncode, done.stdout) == (1, "")
    assert "ModelBehind: redis has not reached the mark after 3 s" in done.stderr
    assert "readmodels resume" in done.stderr
    assert verified(pipeline, "redis")[0] == 0
