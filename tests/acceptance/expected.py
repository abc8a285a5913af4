"""Expected contents of the read models, computed from PostgreSQL without code of the pipeline."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from psycopg import Connection
from psycopg.rows import dict_row

Document = dict[str, Any]
Row = dict[str, Any]

ORDERS = ("id", "customer_id", "status", "currency", "total", "note", "shipping_address", "created_at", "updated_at")
ITEMS = ("id", "order_id", "sku", "quantity", "unit_price", "attributes", "created_at", "updated_at")
AMOUNTS = {"total", "unit_price"}
OBJECTS = {"shipping_address", "attributes"}
MOMENTS = {"created_at", "updated_at"}

ISO = """
    CASE WHEN NOT isfinite({0}) THEN {0}::text
         WHEN extract(year FROM {0} AT TIME ZONE 'UTC') <= 9999
         THEN to_char({0} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
         ELSE '+' || lpad(extract(year FROM {0} AT TIME ZONE 'UTC')::text, 6, '0')
              || to_char({0} AT TIME ZONE 'UTC', '-MM-DD"T"HH24:MI:SS.US"Z"') END"""
MICROSECONDS = (
    "CASE WHEN isfinite({0}) THEN (extract(epoch FROM {0}) * 1000000)::numeric(30, 0)::text ELSE {0}::text END"
)


@dataclass(frozen=True)
class Contents:
    """Documents by order id, as a document model shows them, and rows by id, as a row model does."""

    documents: dict[int, Document]
    orders: dict[int, Row]
    items: dict[int, Row]


def contents(connection: Connection[Any]) -> Contents:
    """Return the contents of the source's tables at one moment."""
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        orders, items = _rows(connection, "orders", ORDERS), _rows(connection, "order_items", ITEMS)
    lines = defaultdict(list)
    for item in items:
        lines[item["order_id"]].append(_in_document(item, ITEMS))
    return Contents(
        documents={row["id"]: {**_in_document(row, ORDERS), "items": lines[row["id"]]} for row in orders},
        orders={row["id"]: _in_table(row, ORDERS) for row in orders},
        items={row["id"]: _in_table(row, ITEMS) for row in items},
    )


def exactly(text: str | bytes) -> Any:
    """Parse JSON with exact numbers."""
    return json.loads(text, parse_float=Decimal)


def stored_json(text: str | None) -> list[Any] | None:
    """Return a JSON column of a row, in a list so that the JSON value null differs from NULL."""
    return None if text is None else [exactly(text)]


def _rows(connection: Connection[Any], table: str, columns: tuple[str, ...]) -> list[Row]:
    chosen = []
    for name in columns:
        if name in MOMENTS:
            chosen += [f"{ISO.format(name)} AS {name}", f"{MICROSECONDS.format(name)} AS {name}_us"]
        else:
            chosen.append(f"{name}::text" if name in AMOUNTS | OBJECTS else name)
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(f"SELECT {', '.join(chosen)} FROM public.{table} ORDER BY id").fetchall()


def _in_document(row: Row, columns: tuple[str, ...]) -> Row:
    return {name: exactly(row[name]) if name in OBJECTS and row[name] else row[name] for name in columns}


def _in_table(row: Row, columns: tuple[str, ...]) -> Row:
    """Return a row as DuckDB stores it: times in microseconds, and no NaN in a DECIMAL.

    DuckDB stores the NaN beside the row, as its history shows.
    """
    kept = {}
    for name in columns:
        value = row[f"{name}_us"] if name in MOMENTS else row[name]
        kept[name] = stored_json(value) if name in OBJECTS else None if value == "NaN" and name in AMOUNTS else value
    return kept
