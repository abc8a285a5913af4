"""Shop whose every written value is unique: in the source, the log and a model, a value identifies its write."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import count
from typing import Any

import psycopg
from psycopg import Connection
from psycopg.types.json import Jsonb

ORDER_IDS = range(1, 41)
"""Few ids, so that orders are changed, deleted and placed again under the same keys all the time."""
SESSIONS = 4
RECONNECTS_AFTER_S = 0.2
THINKS_S = 0.08
BEGAN_AT = 1_767_225_600.0
"""2026-01-01 in UTC: values begin at the milliseconds since then, so that a later run has higher values."""

ORDER = "INSERT INTO orders (id, customer_id, status, total, note, shipping_address, created_at, updated_at)"
ITEM = "INSERT INTO order_items (id, order_id, sku, quantity, unit_price, attributes, created_at, updated_at)"


class Shop:
    """Concurrent sessions that write in interleaved transactions.

    Args:
        url: of PostgreSQL; a session that loses its connection opens another one and continues.
        seed: determines the values written; the timing depends on the machine.
    """

    def __init__(self, url: str, seed: str) -> None:
        self._url = url
        self._seed = seed
        self._values = count(int((time.time() - BEGAN_AT) * 1000))

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Write while the block runs; afterwards every transaction has ended."""
        until = threading.Event()
        sessions = [
            threading.Thread(target=self._serve, args=(random.Random(f"{self._seed}/{number}"), until))
            for number in range(SESSIONS)
        ]
        for session in sessions:
            session.start()
        try:
            yield
        finally:
            until.set()
            for session in sessions:
                session.join()

    def _serve(self, chance: random.Random, stop: threading.Event) -> None:
        while not stop.is_set():
            try:
                with psycopg.connect(self._url, connect_timeout=5) as connection:
                    while not stop.is_set():
                        with connection.transaction():
                            _Transaction(connection, chance, self._values).run()
                        stop.wait(chance.uniform(0, 2 * THINKS_S))
            except psycopg.OperationalError:
                stop.wait(RECONNECTS_AFTER_S)


class _Transaction:
    """A few changes to a few orders that no other session changes meanwhile."""

    def __init__(self, connection: Connection[Any], chance: random.Random, values: Iterator[int]) -> None:
        self._connection = connection
        self._chance = chance
        self._values = values

    def run(self) -> None:
        chosen = sorted(self._chance.sample(ORDER_IDS, 2))
        for order_id in chosen:
            self._connection.execute("SELECT pg_advisory_xact_lock(%s)", [order_id])
        for _ in range(self._chance.randint(1, 3)):
            one, other = self._chance.sample(chosen, 2)
            if not self._exists(one):
                self._place(one)
            else:
                self._a_change()(one, other)
            time.sleep(self._chance.choice((0, 0, 0.02)))
        if self._chance.random() < 0.1:
            raise psycopg.Rollback

    def _a_change(self) -> Callable[[int, int], None]:
        changes = (self._amend, self._move, self._delete, self._rename, self._rename_item, self._replace_item)
        return self._chance.choices(changes, (6, 4, 2, 1, 1, 1))[0]

    def _exists(self, order_id: int) -> bool:
        return self._connection.execute("SELECT FROM orders WHERE id = %s", [order_id]).rowcount > 0

    def _items(self, order_id: int) -> list[int]:
        found = self._connection.execute("SELECT id FROM order_items WHERE order_id = %s ORDER BY id", [order_id])
        return [item_id for (item_id,) in found]

    def _place(self, order_id: int) -> None:
        value = next(self._values)
        row = [order_id, *order_of(value)]
        self._connection.execute(f"{ORDER} VALUES ({_places(row)})", row)
        items = [next(self._values) for _ in range(self._chance.randint(1, 4))]
        rows = [[item_id, order_id, *item_of(item_id)] for item_id in items]
        if self._chance.random() < 0.3:
            # The rows of one COPY share one LSN.
            with self._connection.cursor().copy(f"COPY {ITEM.removeprefix('INSERT INTO ')} FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
            return
        values = ", ".join(f"({_places(row)})" for row in rows)
        self._connection.execute(f"{ITEM} VALUES {values}", [value for row in rows for value in row])

    def _amend(self, order_id: int, _: int) -> None:
        self._write_order(order_id)
        for item_id in self._items(order_id)[:2]:
            self._write_item(item_id, order_id)

    def _move(self, order_id: int, other: int) -> None:
        for item_id in self._items(order_id)[:1]:
            self._write_item(item_id, other)
        self._write_order(order_id)

    def _delete(self, order_id: int, _: int) -> None:
        self._connection.execute("DELETE FROM order_items WHERE order_id = %s", [order_id])
        self._connection.execute("DELETE FROM orders WHERE id = %s", [order_id])

    def _rename(self, order_id: int, other: int) -> None:
        """Change the key of an order, and move its items along."""
        if self._exists(other):
            return
        self._connection.execute("UPDATE orders SET id = %s WHERE id = %s", [other, order_id])
        self._write_order(other)
        for item_id in self._items(order_id):
            self._write_item(item_id, other)

    def _rename_item(self, order_id: int, _: int) -> None:
        for item_id in self._items(order_id)[:1]:
            value = next(self._values)
            self._connection.execute("UPDATE order_items SET id = %s WHERE id = %s", [value, item_id])
            self._write_item(value, order_id)

    def _replace_item(self, order_id: int, _: int) -> None:
        """Delete an item, and insert another one under its key."""
        for item_id in self._items(order_id)[:1]:
            self._connection.execute("DELETE FROM order_items WHERE id = %s", [item_id])
            row = [item_id, order_id, *item_of(next(self._values))]
            self._connection.execute(f"{ITEM} VALUES ({_places(row)})", row)

    def _write_order(self, order_id: int) -> None:
        columns = "customer_id, status, total, note, shipping_address, created_at, updated_at"
        row = order_of(next(self._values))
        self._connection.execute(f"UPDATE orders SET ({columns}) = ROW({_places(row)}) WHERE id = %s", [*row, order_id])

    def _write_item(self, item_id: int, order_id: int) -> None:
        columns = "order_id, sku, quantity, unit_price, attributes, created_at, updated_at"
        row = [order_id, *item_of(next(self._values))]
        self._connection.execute(
            f"UPDATE order_items SET ({columns}) = ROW({_places(row)}) WHERE id = %s", [*row, item_id]
        )


def order_of(value: int) -> list[Any]:
    """Return the columns of an order after its id, all of which derive from its value."""
    status = ("pending", "paid", "shipped", "cancelled")[value % 4]
    moment = datetime.fromtimestamp(BEGAN_AT + value / 1000, UTC)
    return [value, status, _amount(value), f"order of {value}", Jsonb({"value": value}), moment, moment]


def item_of(value: int) -> list[Any]:
    """Return the columns of an item after its id and its order's id."""
    moment = datetime.fromtimestamp(BEGAN_AT + value / 1000, UTC)
    return [f"SKU-{value}", value % 2**31, _amount(value), Jsonb({"value": value}), moment, moment]


def _amount(value: int) -> str:
    return f"{value // 100}.{value % 100:02}"


def _places(row: Sequence[object]) -> str:
    return ", ".join(["%s"] * len(row))
