"""Tests of every kind of change, written by SQL and read from all three read models by their own protocols."""

from __future__ import annotations

import threading
from typing import Any

import psycopg

from tests.acceptance.conftest import OLD_ORDERS
from tests.acceptance.pipeline_fixture import Pipeline
from tests.acceptance.shop import place
from tests.support.waiting import wait_for

LONG_NOTE = "".join(chr(0x4E00 + number * 7919 % 20_000) for number in range(4_000))
"""A text of more than 9 KB that does not compress well, so that PostgreSQL stores it out of line (TOAST)."""


def items_of(document: dict[str, Any]) -> list[int]:
    return [item["id"] for item in document["items"]]


def test_orders_that_are_older_than_the_connector_are_in_every_model(pipeline: Pipeline) -> None:
    documents = pipeline.settled().documents
    for order_id in OLD_ORDERS:
        assert items_of(documents[order_id]) == [order_id + 1, order_id + 2]
        assert [version["_op"] for version in pipeline.history("orders", order_id)][:1] == ["r"]


def test_an_inserted_order_is_seen_with_its_items(pipeline: Pipeline, order_id: int) -> None:
    place(pipeline.source, order_id, items=3)
    document = pipeline.settled().documents[order_id]
    assert items_of(document) == [order_id + 1, order_id + 2, order_id + 3]
    assert document["total"] == "12.30"


def test_an_updated_order_and_an_updated_item_are_seen(pipeline: Pipeline, order_id: int) -> None:
    place(pipeline.source, order_id, items=2)
    pipeline.settle()
    pipeline.sql("UPDATE orders SET status = 'paid', total = 99.99, note = NULL WHERE id = %s", order_id)
    pipeline.sql("UPDATE order_items SET quantity = 17 WHERE id = %s", order_id + 2)
    document = pipeline.settled().documents[order_id]
    assert (document["status"], document["total"], document["note"]) == ("paid", "99.99", None)
    assert [item["quantity"] for item in document["items"]] == [1, 17]


def test_a_deleted_order_is_gone_and_a_deleted_item_too(pipeline: Pipeline, order_id: int) -> None:
    place(pipeline.source, order_id)
    place(pipeline.source, order_id + 100, items=2)
    pipeline.settle()
    pipeline.sql("DELETE FROM order_items WHERE id = ANY(%s)", [order_id + 1, order_id + 101])
    pipeline.sql("DELETE FROM orders WHERE id = %s", order_id)
    documents = pipeline.settled().documents
    assert order_id not in documents
    assert items_of(documents[order_id + 100]) == [order_id + 102]


def test_an_order_whose_items_stay_behind_is_gone(pipeline: Pipeline, order_id: int) -> None:
    place(pipeline.source, order_id, items=2)
    pipeline.settle()
    pipeline.sql("DELETE FROM orders WHERE id = %s", order_id)
    contents = pipeline.settled()
    assert order_id not in contents.documents
    assert {order_id + 1, order_id + 2} <= contents.items.keys()


def test_an_order_that_is_inserted_again_shows_what_is_alive_of_it(pipeline: Pipeline, order_id: int) -> None:
    place(pipeline.source, order_id, items=2)
    pipeline.settle()
    pipeline.sql("DELETE FROM orders WHERE id = %s", order_id)
    pipeline.sql("DELETE FROM order_items WHERE id = %s", order_id + 1)
    pipeline.settle()
    pipeline.sql("INSERT INTO orders (id, customer_id, note) VALUES (%s, 8, 'again')", order_id)
    document = pipeline.settled().documents[order_id]
    assert document["note"] == "again"
    assert items_of(document) == [order_id + 2]


def test_an_order_that_is_deleted_and_inserted_in_one_transaction_is_the_new_one(
    pipeline: Pipeline, order_id: int
) -> None:
    place(pipeline.source, order_id)
    with pipeline.source.transaction():
        for note in ("second", "third"):
            pipeline.sql("DELETE FROM orders WHERE id = %s", order_id)
            pipeline.sql("INSERT INTO orders (id, customer_id, note) VALUES (%s, 8, %s)", order_id, note)
    assert pipeline.settled().documents[order_id]["note"] == "third"


def test_an_order_with_another_key_is_another_order(pipeline: Pipeline, order_id: int) -> None:
    place(pipeline.source, order_id, items=2)
    pipeline.settle()
    pipeline.sql("UPDATE orders SET id = %s WHERE id = %s", order_id + 500, order_id)
    pipeline.sql("UPDATE order_items SET id = %s WHERE id = %s", order_id + 502, order_id + 2)
    pipeline.sql("UPDATE order_items SET order_id = %s WHERE id = %s", order_id + 500, order_id + 502)
    documents = pipeline.settled().documents
    assert order_id not in documents
    assert items_of(documents[order_id + 500]) == [order_id + 502]


def test_an_item_that_moves_through_orders_is_in_the_last_one_only(pipeline: Pipeline, order_id: int) -> None:
    for number in range(3):
        place(pipeline.source, order_id + number * 100)
    pipeline.settle()
    for owner in (order_id + 100, order_id + 200, order_id + 100, order_id + 200):
        pipeline.sql("UPDATE order_items SET order_id = %s WHERE id = %s", owner, order_id + 1)
    documents = pipeline.settled().documents
    assert items_of(documents[order_id]) == []
    assert items_of(documents[order_id + 100]) == [order_id + 101]
    assert items_of(documents[order_id + 200]) == [order_id + 1, order_id + 201]


def test_rolled_back_changes_are_never_seen(pipeline: Pipeline, order_id: int) -> None:
    place(pipeline.source, order_id)
    with pipeline.source.transaction() as transaction:
        place(pipeline.source, order_id + 100)
        pipeline.sql("DELETE FROM orders WHERE id = %s", order_id)
        raise psycopg.Rollback(transaction)
    documents = pipeline.settled().documents
    assert order_id in documents
    assert order_id + 100 not in documents


def test_values_outside_the_row_survive_an_update_of_another_column(pipeline: Pipeline, order_id: int) -> None:
    place(pipeline.source, order_id)
    pipeline.sql(
        "UPDATE orders SET note = %s, shipping_address = to_jsonb(%s::text) WHERE id = %s",
        LONG_NOTE,
        LONG_NOTE[::-1],
        order_id,
    )
    pipeline.settle()
    pipeline.sql("UPDATE orders SET status = 'shipped' WHERE id = %s", order_id)
    document = pipeline.settled().documents[order_id]
    assert (document["note"], document["shipping_address"]) == (LONG_NOTE, LONG_NOTE[::-1])


def test_a_row_that_was_logged_before_the_deletion_that_let_it_in_is_there(pipeline: Pipeline, order_id: int) -> None:
    """Check an insert that waits for another transaction: its LSN is lower than that of the deletion before it."""
    waited_for, inverted = order_id, order_id + 100
    place(pipeline.source, waited_for)
    place(pipeline.source, inverted)
    pipeline.settle()
    with psycopg.connect(pipeline.endpoints.postgres) as first, psycopg.connect(pipeline.endpoints.postgres) as second:
        first.execute("DELETE FROM orders WHERE id = %s", [waited_for])
        copying = threading.Thread(target=_copy, args=(second, [waited_for, inverted]))
        copying.start()
        waits = "SELECT 1 FROM pg_locks WHERE pid = %s AND NOT granted"
        wait_for(
            lambda: pipeline.source.execute(waits, [second.info.backend_pid]).fetchone(),
            30,
            lambda: "the second transaction does not wait",
        )
        first.execute("DELETE FROM orders WHERE id = %s", [inverted])
        first.commit()
        copying.join()
        second.commit()
    documents = pipeline.settled().documents
    assert documents[waited_for]["note"] == documents[inverted]["note"] == "copied"
    *_, deleted, inserted = pipeline.history("orders", inverted)
    assert (deleted["_op"], inserted["_op"]) == ("d", "c")
    assert inserted["_lsn"] < deleted["_lsn"]


def _copy(connection: psycopg.Connection[Any], ids: list[int]) -> None:
    with connection.cursor().copy("COPY orders (id, customer_id, note) FROM STDIN") as rows:
        for row_id in ids:
            rows.write_row([row_id, 9, "copied"])


def test_truncated_items_are_gone_and_later_ones_are_there(pipeline: Pipeline, order_id: int) -> None:
    place(pipeline.source, order_id, items=2)
    pipeline.settle()
    pipeline.sql("TRUNCATE order_items")
    assert pipeline.settled().documents[order_id]["items"] == []
    pipeline.sql("INSERT INTO order_items (id, order_id, sku) VALUES (%s, %s, 'later')", order_id + 1, order_id)
    assert items_of(pipeline.settled().documents[order_id]) == [order_id + 1]


def test_truncated_orders_are_gone_and_find_their_items_when_they_come_back(pipeline: Pipeline, order_id: int) -> None:
    place(pipeline.source, order_id, items=2)
    pipeline.settle()
    pipeline.sql("TRUNCATE orders")
    assert pipeline.settled().documents == {}
    pipeline.sql("INSERT INTO orders (id, customer_id) VALUES (%s, 9)", order_id)
    assert items_of(pipeline.settled().documents[order_id]) == [order_id + 1, order_id + 2]


def test_both_tables_truncated_at_once_within_changes_leave_only_what_came_after(
    pipeline: Pipeline, order_id: int
) -> None:
    place(pipeline.source, order_id, items=2)
    with pipeline.source.transaction():
        place(pipeline.source, order_id + 100)
        pipeline.sql("TRUNCATE orders, order_items")
        place(pipeline.source, order_id + 200)
    contents = pipeline.settled()
    assert contents.documents.keys() == {order_id + 200}
    assert contents.items.keys() == {order_id + 201}


def test_tombstones_truncates_and_heartbeats_disturbed_no_worker(pipeline: Pipeline, order_id: int) -> None:
    place(pipeline.source, order_id)
    pipeline.sql("DELETE FROM orders WHERE id = %s", order_id)
    pipeline.sql("TRUNCATE order_items")
    before = {model: worker.pid for model, worker in pipeline.workers.workers().items()}
    pipeline.sql("UPDATE readmodels.heartbeat SET beaten_at = now()")
    pipeline.settled()
    assert {model: worker.pid for model, worker in pipeline.workers.workers().items()} == before
    assert pipeline.workers.lines("level=error") == pipeline.workers.lines("level=warning") == []
