"""Generator of a growing shop without a log: its changes are columns, as the projection passes them to a row model.

Of every hundred changes, thirty are new rows, sixty-five are updates of any living row, and five delete the oldest row.
Every run makes the same changes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from bench.history import STATUSES
from sinks.batch import Batch, Mutations, OffsetRange, TopicPartition

PARTITIONS = 6
CHANGES_PER_TRANSACTION = 8

_BEGIN_US = 1_790_000_000_000_001
_TRANSACTION_US = 2_070_000
"""Time between transactions: ten million changes are committed within thirty days."""
_LSN_PER_CHANGE = 144
_FIRST_LSN = 34_000_000
_CITIES = pa.array(["Köln", "São Paulo", "東京都", "Reykjavík"])
_CURRENCIES = pa.array(["EUR", "USD", "JPY", "BRL"])
_SHIPPED, _CANCELLED = STATUSES.index("shipped"), STATUSES.index("cancelled")
_UTC = pa.timestamp("us", "UTC")

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Shares:
    """Numbers of changes of each kind, per thousand changes."""

    new: int
    updated: int
    deleted: int


_SHARES = {"orders": Shares(100, 400, 15), "order_items": Shares(200, 250, 35)}


class Table:
    """Rows of one table. Ids are assigned in sequence, and the oldest row is deleted first."""

    def __init__(self) -> None:
        self.first = self.next = 1
        self.versions = 0
        self.amounts = np.zeros(1, np.int64)
        """Amounts in cents by id: the total of an order, the price of an item."""
        self.statuses = np.zeros(1, np.int8)

    @property
    def living(self) -> int:
        """Number of living rows."""
        return self.next - self.first

    @property
    def amount(self) -> int:
        """Sum of the living rows' amounts, in cents."""
        return int(self.amounts[self.first : self.next].sum())

    def change(self, shares: Shares, changes: int, chance: np.random.Generator) -> tuple[Integers, Integers]:
        """Create, update and delete rows; return the changed ids in order, and the kind of each change."""
        new, updated, deleted = (changes * share // 1000 for share in (shares.new, shares.updated, shares.deleted))
        made = np.arange(self.next, self.next + new)
        self.next += new
        self._make_room()
        touched = chance.integers(self.first, self.next, updated) if self.living else np.empty(0, np.int64)
        gone = np.arange(self.first, min(self.first + deleted, self.next))
        self.amounts[made] = chance.integers(1, 1_000_000, new)
        open_ = touched[self.statuses[touched] < _SHIPPED]
        self.amounts[open_] = chance.integers(1, 1_000_000, len(open_))
        self.statuses[open_] = np.where(open_ % 10 == 0, _CANCELLED, self.statuses[open_] + 1)
        self.first += len(gone)
        self.versions += new + len(touched) + len(gone)
        kinds = np.repeat(np.arange(3), (new, len(touched), len(gone)))
        return np.concatenate([made, touched, gone]), kinds

    def _make_room(self) -> None:
        if self.next >= len(self.amounts):
            size = 2 * self.next
            self.amounts = np.concatenate([self.amounts, np.zeros(size - len(self.amounts), np.int64)])
            self.statuses = np.concatenate([self.statuses, np.zeros(size - len(self.statuses), np.int8)])


class Shop:
    """Tables of the shop, with a count of the changes."""

    def __init__(self) -> None:
        self.tables = {name: Table() for name in _SHARES}
        self._chance = np.random.default_rng(1)
        self._changes = 0
        self._offsets: dict[TopicPartition, int] = {}

    @property
    def versions(self) -> int:
        """Number of versions of all tables."""
        return sum(table.versions for table in self.tables.values())

    def batch(self, changes: int) -> Batch:
        """Return the next batch of about `changes` changes; the number per kind is rounded down."""
        begin = dict(self._offsets)
        mutations = tuple(self._mutations(name, shares, changes) for name, shares in _SHARES.items())
        return Batch(
            mutations,
            (),
            OffsetRange(
                {topic_partition: begin.get(topic_partition, 0) for topic_partition in self._offsets},
                dict(self._offsets),
            ),
        )

    def _mutations(self, name: str, shares: Shares, changes: int) -> Mutations:
        table = self.tables[name]
        before = table.versions
        ids, kinds = table.change(shares, changes, self._chance)
        place = np.arange(self._changes, self._changes + len(ids))
        self._changes += len(ids)
        self._offsets |= {(name, partition): before + len(ids) for partition in range(PARTITIONS)}
        transaction = place // CHANGES_PER_TRANSACTION
        committed_us = _BEGIN_US + transaction * _TRANSACTION_US
        facts = {
            "_epoch": np.zeros(len(ids), np.int32),
            "_is_snapshot": np.zeros(len(ids), bool),
            "_commit_lsn": _FIRST_LSN + transaction * CHANGES_PER_TRANSACTION * _LSN_PER_CHANGE,
            "_lsn": _FIRST_LSN + (place + 1) * _LSN_PER_CHANGE,
            "_tie": np.zeros(len(ids), np.int8),
            "_offset": np.arange(before, before + len(ids)),
            "_partition": (ids % PARTITIONS).astype(np.int32),
            "_deleted": kinds == len(_OPS) - 1,
            "_op": _OPS.take(pa.array(kinds)),
            "_committed_at": pa.array(committed_us, _UTC),
        }
        image = (_orders if name == "orders" else _items)(table, ids, committed_us)
        kept = pa.array(kinds != len(_OPS) - 1)
        columns = {column: pc.if_else(kept, values, None) for column, values in image.items()}
        return Mutations(name, pa.table({**facts, "id": ids, **columns}))


_OPS = pa.array(["c", "u", "d"])


def _orders(table: Table, ids: Integers, committed_us: Integers) -> Mapping[str, pa.Array]:
    zip_code = pc.cast(pa.array(10_000 + ids % 89_999), pa.string())
    address = _joined(['{"city": "', _CITIES.take(pa.array(ids % 4)), '", "zip": "', zip_code, '"}'])
    note = _joined(["note ", pc.cast(pa.array(ids), pa.string())])
    return {
        "customer_id": pa.array(ids * 7919 % 100_003),
        "status": pa.array(STATUSES).take(pa.array(table.statuses[ids])),
        "currency": _CURRENCIES.take(pa.array(ids % 4)),
        "total": _decimals(table.amounts[ids]),
        "note": pc.if_else(pa.array(ids % 3 == 0), note, None),
        "shipping_address": address,
        "created_at": pa.array(_BEGIN_US + ids * 10 // CHANGES_PER_TRANSACTION * _TRANSACTION_US, _UTC),
        "updated_at": pa.array(committed_us, _UTC),
    }


def _items(table: Table, ids: Integers, committed_us: Integers) -> Mapping[str, pa.Array]:
    return {
        "order_id": pa.array(ids // 2 + 1),
        "sku": _joined(["SKU-", pc.cast(pa.array(ids % 977), pa.string())]),
        "quantity": pa.array((1 + table.amounts[ids] % 9).astype(np.int32)),
        "unit_price": _decimals(table.amounts[ids]),
        "attributes": pc.if_else(pa.array(ids % 2 == 0), '{"gift": true}', None),
        "created_at": pa.array(_BEGIN_US + ids * 5 // CHANGES_PER_TRANSACTION * _TRANSACTION_US, _UTC),
        "updated_at": pa.array(committed_us, _UTC),
    }


def _decimals(cents: Integers) -> pa.Array:
    whole, rest = (pc.cast(pa.array(part), pa.string()) for part in np.divmod(cents, 100))
    return _joined([whole, ".", pc.utf8_lpad(rest, 2, "0")])


def _joined(parts: Sequence[pa.Array | str]) -> pa.Array:
    return pc.binary_join_element_wise(*parts, "")
