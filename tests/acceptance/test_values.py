"""Tests that every value of PostgreSQL is equal in all three read models. `settled` compares each value of each row."""

from __future__ import annotations

from tests.acceptance.pipeline_fixture import Pipeline

TEXTS = (
    "",
    " ",
    "null",
    "__debezium_unavailable_value",
    "Zürich — 東京都 — القاهرة — e\u0301 — é",
    "🎁👩‍👩‍👧‍👦\U0010ffff\ufffd\ufeff\u2028\u2029",
    "\x01\x02\x1f\x7f\t\r\n\\\"'</script>{}[]:,",
    "x" * 40_000,
    "語" * 40_000,
)

JSON_TEXTS = (
    "null",
    "true",
    "0",
    "-0.0",
    '""',
    "[]",
    "{}",
    "[1, [2, [3, {}]], null, false]",
    "9007199254740993",
    "123456789012345678901234567890.123456789012345678901234567890",
    "0.1000000000000000055511151231257827",
    "1e400",
    "1e-400",
    '{"": {"a.b": {"$ref": "#/id", "readmodels": 1}}, "geo": {"lat": 1.10}}',
    '{"\\u0001": "\\ud83c\\udf81", "q": "\\"\\\\"}',
    '"' + "w" * 40_000 + '"',
)

MOMENTS = (
    "infinity",
    "-infinity",
    "9999-12-31 23:59:59.999999+00",
    "20000-01-01 00:00:00+00",
    "0001-01-01 00:00:00+00",
    "1969-12-31 23:59:59.999999+00",
    "1970-01-01 00:00:00+00",
    "2026-03-29 02:30:00.000001+02",
    "2026-10-25 02:30:00+14:00",
)


def insert(pipeline: Pipeline, order_id: int, **columns: object) -> None:
    """Insert an order with these values."""
    order = {"id": order_id, "customer_id": 1, **columns}
    names = ", ".join(order)
    pipeline.sql(f"INSERT INTO orders ({names}) VALUES ({', '.join(['%s'] * len(order))})", *order.values())


def test_texts_are_equal_character_by_character(pipeline: Pipeline, order_id: int) -> None:
    for number, text in enumerate(TEXTS):
        insert(pipeline, order_id + number, note=text, currency=text)
        pipeline.sql(
            "INSERT INTO order_items (id, order_id, sku) VALUES (%s, %s, %s)", order_id + number, order_id, text
        )
    documents = pipeline.settled().documents
    assert [documents[order_id + number]["note"] for number in range(len(TEXTS))] == list(TEXTS)
    assert [item["sku"] for item in documents[order_id]["items"]] == list(TEXTS)


def test_json_of_every_kind_is_equal(pipeline: Pipeline, order_id: int) -> None:
    for number, text in enumerate(JSON_TEXTS):
        insert(pipeline, order_id + number, shipping_address=text)
        statement = "INSERT INTO order_items (id, order_id, sku, attributes) VALUES (%s, %s, 'json', %s)"
        pipeline.sql(statement, order_id + number, order_id, text)
    insert(pipeline, order_id + len(JSON_TEXTS), shipping_address=None)
    contents = pipeline.settled()
    assert contents.orders[order_id]["shipping_address"] == [None]
    assert contents.orders[order_id + len(JSON_TEXTS)]["shipping_address"] is None
    assert contents.documents[order_id + 11]["shipping_address"] == 10**400


def test_moments_are_equal_to_the_microsecond(pipeline: Pipeline, order_id: int) -> None:
    for number, text in enumerate(MOMENTS):
        insert(pipeline, order_id + number, created_at=text, updated_at=text)
    documents = pipeline.settled().documents
    shown = [documents[order_id + number]["created_at"] for number in range(4)]
    assert shown == ["infinity", "-infinity", "9999-12-31T23:59:59.999999Z", "+020000-01-01T00:00:00.000000Z"]


def test_money_is_equal_digit_by_digit(pipeline: Pipeline, order_id: int) -> None:
    amounts = ("0.00", "0.01", "1234567.10", "9999999999.99")
    for number, amount in enumerate(amounts):
        insert(pipeline, order_id + number, total=amount)
    documents = pipeline.settled().documents
    assert [documents[order_id + number]["total"] for number in range(len(amounts))] == list(amounts)


def test_a_nan_amount_is_kept_by_name_and_never_lost(pipeline: Pipeline, order_id: int) -> None:
    insert(pipeline, order_id, total="NaN")
    contents = pipeline.settled()
    assert contents.documents[order_id]["total"] == "NaN"
    assert contents.orders[order_id]["total"] is None
    assert pipeline.history("orders", order_id)[-1]["_special"] == '{"total": "NaN"}'


def test_ids_up_to_the_ends_of_bigint_are_exact(pipeline: Pipeline) -> None:
    ids = [2**63 - 1, 2**63 - 2, 2**53 + 1, -1, -(2**53) - 1, -(2**63) + 1, -(2**63), 0]
    for order_id in ids:
        insert(pipeline, order_id, customer_id=order_id)
        pipeline.sql("INSERT INTO order_items (id, order_id, sku) VALUES (%s, %s, 'end')", order_id, ids[0])
    contents = pipeline.settled()
    assert set(ids) <= contents.documents.keys()
    lines = [item["id"] for item in contents.documents[ids[0]]["items"]]
    assert lines == sorted(ids)
