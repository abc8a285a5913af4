"""Orders written by plain SQL."""

from __future__ import annotations

from typing import Any

from psycopg import Connection


def place(connection: Connection[Any], order_id: int, items: int = 1) -> None:
    """Insert an order and its items in one transaction; the items' ids follow the order's."""
    with connection.transaction():
        connection.execute(
            "INSERT INTO orders (id, customer_id, total, note, shipping_address)"
            """ VALUES (%s, 7, 12.30, 'Grüße 🎁', '{"city": "東京都", "geo": {"lat": 35.689500}}')""",
            [order_id],
        )
        for number in range(1, items + 1):
            connection.execute(
                "INSERT INTO order_items (id, order_id, sku, quantity, unit_price, attributes)"
                """ VALUES (%s, %s, %s, %s, 4.10, '{"gift": true}')""",
                [order_id + number, order_id, f"SKU-{number}", number],
            )
