"""Expected state of every row according to the log, computed without production code.

The final state of a row follows from the sequences of its changes: the streamed change with the highest (last commit
LSN, LSN). The shop begins with empty tables, so that the only snapshot emits nothing.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from tests.acceptance.expected import OBJECTS, Contents, Row

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Sequence = tuple[int, int]
Image = Row | None


@dataclass
class History:
    """One row: its image at every sequence, None where it was deleted.

    A repeated change has the same sequence and the same image, and is stored once.
    """

    images: dict[Sequence, Image] = field(default_factory=dict)

    @property
    def shown(self) -> Image:
        """The image at the highest sequence."""
        return self.images[max(self.images)]

    def in_order(self) -> list[Image]:
        """Return all images, by sequence."""
        return [self.images[sequence] for sequence in sorted(self.images)]


@dataclass
class Fold:
    """Histories of all rows.

    Attributes:
        records: number of changes that were added.
        repeated: number of these that were emitted before.
        tables: the history of each row, by table and id.
    """

    records: int = 0
    repeated: int = 0
    tables: dict[str, defaultdict[int, History]] = field(
        default_factory=lambda: {name: defaultdict(History) for name in ("orders", "order_items")}
    )

    def add(self, table: str, change: Mapping[str, Any]) -> None:
        """Add a decoded envelope."""
        assert change["op"] in {"c", "u", "d"}, f"the shop makes no {change['op']}"
        image = change["after"]
        images = self.tables[table][(image or change["before"])["id"]].images
        sequence = (change["commit_lsn"], change["lsn"])
        self.records += 1
        self.repeated += sequence in images
        assert images.setdefault(sequence, image) == image, f"two images of one row at {sequence}"

    def images(self, table: str, row_id: int) -> list[Image]:
        """Return the successive images of a row; empty if it never existed."""
        return self.tables[table][row_id].in_order() if row_id in self.tables[table] else []

    def contents(self) -> Contents:
        """Return the final contents, as documents and as rows."""
        orders, items = dict(self._shown("orders")), dict(self._shown("order_items"))
        lines = defaultdict(list)
        for item_id in sorted(items):
            lines[items[item_id]["order_id"]].append(_in_document(items[item_id]))
        return Contents(
            documents={row_id: {**_in_document(row), "items": lines[row_id]} for row_id, row in orders.items()},
            orders={row_id: _in_table(row) for row_id, row in orders.items()},
            items={row_id: _in_table(row) for row_id, row in items.items()},
        )

    def _shown(self, table: str) -> Iterator[tuple[int, Row]]:
        for row_id, history in self.tables[table].items():
            if (image := history.shown) is not None:
                yield row_id, image


def _in_document(image: Row) -> Row:
    return {name: _document_value(name, value) for name, value in image.items()}


def _document_value(name: str, value: Any) -> Any:
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return _json(value) if name in OBJECTS else value


def _in_table(image: Row) -> Row:
    return {name: _table_value(name, value) for name, value in image.items()}


def _table_value(name: str, value: Any) -> Any:
    if isinstance(value, datetime):
        return str((value - EPOCH) // timedelta(microseconds=1))
    return [_json(value)] if name in OBJECTS else value


def _json(text: str) -> Any:
    return json.loads(text, parse_float=Decimal)
