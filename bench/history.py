"""History of orders as a source would commit it, and the final rows that models must reach."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from bench.envelopes import Change, Row

STATUSES = ("pending", "paid", "shipped", "cancelled")

_SEED = 1
_BEGIN_US = 1_790_000_000_000_001
_STEP_US = 1_370
"""Time between two transactions. With `_BEGIN_US`, no time ends in a zero, which a connector would omit."""
_FIRST_LSN = 34_000_000

_ACTIONS = {"order": 40, "pay": 25, "amend": 15, "move": 10, "delete": 10}
"""Relative frequency of each kind of transaction."""


@dataclass
class History:
    """Changes in commit order, the living rows by id, and the number of versions per table."""

    changes: list[Change] = field(default_factory=list)
    orders: dict[int, Row] = field(default_factory=dict)
    items: dict[int, Row] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=lambda: {"orders": 0, "order_items": 0})

    @property
    def record_count(self) -> int:
        """Number of records of the log; each deletion is followed by a tombstone."""
        return len(self.changes) + sum(change.after is None for change in self.changes)

    def documents(self) -> dict[str, dict[str, Any]]:
        """Return the living orders with their items by key, in order of id."""
        documents: dict[int, dict[str, Any]] = {id_: {**row, "items": []} for id_, row in self.orders.items()}
        for _, item in sorted(self.items.items()):
            documents[item["order_id"]]["items"].append(item)
        return {str(id_): document for id_, document in documents.items()}


def history(records: int, rows: Mapping[str, Sequence[Row]], first_id: int = 1) -> History:
    """Create a history of at least this number of records, the same at every call.

    Args:
        first_id: first id of orders and of items. Histories without common ids can follow each other in one log.
        rows: per table, rows from a connector. Their values other than keys, amounts and times are used in turn.
    """
    writer = _Writer(rows, first_id)
    chance = random.Random(_SEED)
    actions, weights = zip(*_ACTIONS.items(), strict=True)
    while len(writer.history.changes) + writer.tombstones < records:
        writer.commit(chance.choices(actions, weights)[0], chance)
    return writer.history


class _Writer:
    """Writer of transactions, which change the living rows."""

    def __init__(self, rows: Mapping[str, Sequence[Row]], first_id: int) -> None:
        self.history = History()
        self.tombstones = 0
        self._rows = rows
        self._ids: list[int] = []
        self._items_of: dict[int, list[int]] = {}
        self._next = {"orders": first_id, "order_items": first_id}
        self._transactions = 0
        self._lsn = _FIRST_LSN
        self._commit_lsn = _FIRST_LSN

    def commit(self, action: str, chance: random.Random) -> None:
        """Write one transaction; if there is no order yet, it creates one."""
        if not self._ids:
            action = "order"
        place = chance.randrange(len(self._ids)) if self._ids else 0
        order = self._ids[place] if self._ids else 0
        match action:
            case "order":
                self._place(chance)
            case "pay":
                self._update("orders", order, status=chance.choice(STATUSES), total=_amount(chance))
            case "amend":
                for item in self._items_of[order][:1]:
                    self._update("order_items", item, quantity=chance.randint(1, 9))
            case "move":
                self._move(order, chance.choice(self._ids))
            case "delete":
                self._ids[place] = self._ids[-1]
                self._ids.pop()
                self._remove(order)
        self._transactions += 1
        self._lsn += 56
        self._commit_lsn = self._lsn

    def _place(self, chance: random.Random) -> None:
        order = self._insert("orders", customer_id=chance.randint(1, 5000), total=_amount(chance))
        self._ids.append(order)
        self._items_of[order] = [
            self._insert("order_items", order_id=order, unit_price=_amount(chance)) for _ in range(chance.randint(1, 3))
        ]

    def _move(self, order: int, other: int) -> None:
        items = self._items_of[order]
        if items and order != other:
            item = items.pop()
            self._items_of[other].append(item)
            self._update("order_items", item, order_id=other)

    def _remove(self, order: int) -> None:
        for item in self._items_of.pop(order):
            self._append("order_items", self.history.items.pop(item), None)
        self._append("orders", self.history.orders.pop(order), None)

    def _insert(self, table: str, **columns: object) -> int:
        id_ = self._next[table]
        self._next[table] += 1
        kinds = self._rows[table]
        now = _text(self._now_us())
        row = {**kinds[id_ % len(kinds)], "id": id_, **columns, "created_at": now, "updated_at": now}
        self._living(table)[id_] = row
        self._append(table, None, row)
        return id_

    def _update(self, table: str, id_: int, **columns: object) -> None:
        before = self._living(table)[id_]
        after = {**before, **columns, "updated_at": _text(self._now_us())}
        self._living(table)[id_] = after
        self._append(table, before, after)

    def _append(self, table: str, before: Row | None, after: Row | None) -> None:
        self._lsn += 144
        self.tombstones += after is None
        self.history.versions[table] += 1
        self.history.changes.append(
            Change(
                table=table,
                commit_lsn=self._commit_lsn,
                lsn=self._lsn,
                committed_us=self._now_us(),
                before=before,
                after=after,
            )
        )

    def _living(self, table: str) -> dict[int, Row]:
        return self.history.orders if table == "orders" else self.history.items

    def _now_us(self) -> int:
        return _BEGIN_US + self._transactions * _STEP_US


def _amount(chance: random.Random) -> str:
    return f"{chance.randint(0, 999_999) / 100:.2f}"


def _text(micros: int) -> str:
    moment = datetime.fromtimestamp(micros // 1_000_000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{micros % 1_000_000:06}Z"
