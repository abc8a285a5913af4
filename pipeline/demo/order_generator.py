"""Order generator: places, pays, ships, amends, splits and deletes orders at a steady rate."""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from threading import Event
from typing import Any, NamedTuple

from sqlalchemy import (
    Connection,
    Engine,
    Insert,
    ScalarSelect,
    Select,
    Update,
    bindparam,
    case,
    column,
    delete,
    func,
    insert,
    select,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB

from pipeline.demo.tables import Order, OrderItem

TICK_S = 0.05
ORDERS_PER_BATCH = 50
REMEMBERED_ORDERS = 10_000
IDS_PER_RESERVATION = 500

ORDER_COLUMNS = ("id", "customer_id", "currency", "total", "note", "shipping_address")
ITEM_COLUMNS = ("sku", "quantity", "unit_price", "attributes")

CITIES = ("Köln", "São Paulo", "東京都", "القاهرة", "Reykjavík", "Zürich", "Ħal Qormi", "New York")
STREETS = ("Æbeløgade", "Rue de l'Église", "Straße des 17. Juni", "Улица Ленина", "大通り", 'Lane "B"')
NOTES = ("Grüße 🎁", "leave at the door", "zażółć gęślą jaźń", "e\u0301 is not é", "شكراً", "a\tb\\n", "")
CURRENCIES = ("EUR", "USD", "JPY", "BRL")


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """Load of the generator. The last four values are numbers of changes per placed order.

    The same seed on empty tables makes the same rows, except for their timestamps.
    """

    orders_per_s: float = 300.0
    orders_per_transaction: int = 1
    seed: int = 0
    advances: float = 0.8
    amendments: float = 0.2
    moves: float = 0.1
    deletions: float = 0.05


@dataclass(frozen=True)
class TrafficCounts:
    """Numbers of orders placed, advanced, amended, joined by an item of another order, and deleted so far."""

    placed: int = 0
    advanced: int = 0
    amended: int = 0
    moved: int = 0
    deleted: int = 0


class _Connections(NamedTuple):
    """Pair of connections: one in autocommit mode, with one round trip per call, and one for longer transactions."""

    placing: Connection
    changing: Connection


class OrderGenerator:
    """Generator on one engine. Several may run side by side: each changes only the orders that it placed."""

    def __init__(self, engine: Engine, traffic: Traffic) -> None:
        self._engine = engine
        self._traffic = traffic
        self._random = random.Random(traffic.seed)  # noqa: S311  no secret comes from it
        self._ids: Iterator[int] = iter(())
        self._orders: list[int] = []
        self._counts = TrafficCounts()

    def run(self, stop: Event) -> Iterator[TrafficCounts]:
        """Generate at the configured rate until `stop` is set, and yield the counts every 50 ms.

        If the database is too slow for the rate, the generator writes as fast as it can.
        """
        opened, placed_before = time.monotonic(), self._counts.placed
        with self._open() as connections:
            while not stop.is_set():
                tick_ends = time.monotonic() + TICK_S
                due_by_now = int((time.monotonic() - opened) * self._traffic.orders_per_s) + 1
                due = due_by_now - (self._counts.placed - placed_before)
                self._serve(connections, min(due, ORDERS_PER_BATCH))
                yield self._counts
                if due <= ORDERS_PER_BATCH:
                    stop.wait(max(0.0, tick_ends - time.monotonic()))

    def place(self, orders: int) -> TrafficCounts:
        """Place this many orders as fast as the database accepts them, with the changes that belong to them."""
        with self._open() as connections:
            for placed in range(0, orders, ORDERS_PER_BATCH):
                self._serve(connections, min(ORDERS_PER_BATCH, orders - placed))
        return self._counts

    @contextmanager
    def _open(self) -> Iterator[_Connections]:
        with self._engine.connect() as placing, self._engine.connect() as changing:
            yield _Connections(placing.execution_options(isolation_level="AUTOCOMMIT"), changing)

    def _serve(self, connections: _Connections, orders: int) -> None:
        for placed in range(0, orders, self._traffic.orders_per_transaction):
            self._place(connections.placing, min(self._traffic.orders_per_transaction, orders - placed))
        changes: tuple[tuple[float, Callable[[Connection, list[int]], None]], ...] = (
            (self._traffic.advances, self._advance),
            (self._traffic.amendments, self._amend),
            (self._traffic.moves, self._move),
            (self._traffic.deletions, self._delete),
        )
        for rate, change in changes:
            wanted = sum(self._random.random() < rate for _ in range(orders))
            if chosen := self._random.sample(self._orders, min(wanted, len(self._orders))):
                change(connections.changing, chosen)
                connections.changing.commit()

    def _place(self, connection: Connection, orders: int) -> None:
        placed = [self._order(self._next_id(connection)) for _ in range(orders)]
        connection.execute(PLACEMENT, placed)
        self._orders += [order["id"] for order in placed]
        self._counts = replace(self._counts, placed=self._counts.placed + orders)
        while len(self._orders) > REMEMBERED_ORDERS:
            self._orders.pop(self._random.randrange(REMEMBERED_ORDERS))

    def _next_id(self, connection: Connection) -> int:
        if (order_id := next(self._ids, None)) is None:
            self._ids = iter(connection.scalars(RESERVATION).all())
            order_id = next(self._ids)
        return order_id

    def _advance(self, connection: Connection, chosen: list[int]) -> None:
        end = case((Order.id % 10 == 0, "cancelled"), else_="shipped")
        status = case({"pending": "paid", "paid": end}, value=Order.status, else_=Order.status)
        connection.execute(_changed(chosen).values(status=status))
        self._counts = replace(self._counts, advanced=self._counts.advanced + len(chosen))

    def _amend(self, connection: Connection, chosen: list[int]) -> None:
        amended = update(OrderItem).where(OrderItem.id.in_(_first_items(chosen)))
        connection.execute(amended.values(quantity=self._random.randint(0, 20), updated_at=func.now()))
        connection.execute(_changed(chosen).values(total=_sum_of_items()))
        self._counts = replace(self._counts, amended=self._counts.amended + len(chosen))

    def _move(self, connection: Connection, chosen: list[int]) -> None:
        joined = self._random.choice(self._orders)
        moved = update(OrderItem).where(OrderItem.id.in_(_first_items(chosen)))
        connection.execute(moved.values(order_id=joined, updated_at=func.now()))
        connection.execute(_changed([*chosen, joined]).values(total=_sum_of_items()))
        self._counts = replace(self._counts, moved=self._counts.moved + len(chosen))

    def _delete(self, connection: Connection, chosen: list[int]) -> None:
        connection.execute(delete(OrderItem).where(OrderItem.order_id.in_(chosen)))
        connection.execute(delete(Order).where(Order.id.in_(chosen)))
        gone = set(chosen)
        self._orders = [order_id for order_id in self._orders if order_id not in gone]
        self._counts = replace(self._counts, deleted=self._counts.deleted + len(chosen))

    def _order(self, order_id: int) -> dict[str, Any]:
        items = [self._item() for _ in range(self._random.randint(1, 5))]
        return {
            "id": order_id,
            "customer_id": self._random.randint(1, 5000),
            "currency": self._random.choice(CURRENCIES),
            "total": sum((item["quantity"] * Decimal(item["unit_price"]) for item in items), Decimal(0)),
            "note": self._random.choice((None, *NOTES)),
            "shipping_address": self._address(),
            "items": items,
        }

    def _item(self) -> dict[str, Any]:
        return {
            "sku": f"SKU-{self._random.randint(1, 9999):04}",
            "quantity": self._random.randint(1, 9),
            "unit_price": f"{self._random.randint(1, 50_000) / 100:.2f}",
            "attributes": self._random.choice((None, {"gift": True}, {"colour": "türkis", "sizes": [38, 39.5]})),
        }

    def _address(self) -> dict[str, Any] | None:
        if self._random.random() < 0.1:
            return None
        return {
            "street": f"{self._random.choice(STREETS)} {self._random.randint(1, 200)}",
            "city": self._random.choice(CITIES),
            "company": None,
            "geo": {"lat": self._random.randint(-90_000, 90_000) / 1000},
        }


def _placement() -> Insert:
    """Return one statement that inserts an order and its items, in one round trip and one transaction."""
    order = insert(Order).values({name: bindparam(name) for name in ORDER_COLUMNS}).returning(Order.id).cte("placed")
    items = (
        func.jsonb_to_recordset(bindparam("items", type_=JSONB))
        .table_valued(*(column(name, OrderItem.__table__.c[name].type) for name in ITEM_COLUMNS), name="item")
        .render_derived(with_types=True)
    )
    rows = select(order.c.id, *(items.c[name] for name in ITEM_COLUMNS)).select_from(order.join(items, true()))
    return insert(OrderItem).from_select(["order_id", *ITEM_COLUMNS], rows)


def _changed(order_ids: list[int]) -> Update:
    return update(Order).where(Order.id.in_(order_ids)).values(updated_at=func.now())


def _first_items(order_ids: list[int]) -> Select[int]:
    first = select(func.min(OrderItem.id)).where(OrderItem.order_id.in_(order_ids))
    return first.group_by(OrderItem.order_id)


def _sum_of_items() -> ScalarSelect[Decimal]:
    worth = func.coalesce(func.sum(OrderItem.quantity * OrderItem.unit_price), 0)
    return select(worth).where(OrderItem.order_id == Order.id).scalar_subquery()


PLACEMENT = _placement()
RESERVATION = select(func.nextval("public.orders_id_seq")).select_from(func.generate_series(1, IDS_PER_RESERVATION))
