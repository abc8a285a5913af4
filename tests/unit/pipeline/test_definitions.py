"""Tests of valid and refused definitions in `readmodels.toml`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from pipeline.definitions import (
    CollectionDefinition,
    DocumentDefinition,
    ModelDefinitions,
    TableDefinition,
)
from pipeline.invalid_definitions import InvalidDefinitions
from sinks.shape import DocumentShape, RowShape

ORDERS = TableDefinition(source="public.orders", key=("id",), columns={"id": "bigint", "total": "numeric(12,2)"})
ITEMS = TableDefinition(
    source="shop.items", key=("order_id", "line"), columns={"order_id": "bigint", "line": "integer"}
)
DOCUMENT = DocumentDefinition(
    root="orders", collections={"items": CollectionDefinition(table="items", parent=("order_id",))}
)


def contract(tables: Mapping[str, TableDefinition] | None = None, **documents: DocumentDefinition) -> ModelDefinitions:
    return ModelDefinitions(
        topic_prefix="cdc",
        tables=tables or {"orders": ORDERS, "items": ITEMS},
        documents=documents or {"all": DOCUMENT},
    )


def test_every_table_has_the_topic_of_its_source() -> None:
    assert contract().topics == {"cdc.public.orders": "orders", "cdc.shop.items": "items"}


def test_shapes_are_what_the_stores_need_to_know() -> None:
    assert contract().row_shapes() == [
        RowShape("orders", ("id",), ORDERS.columns),
        RowShape("items", ("order_id", "line"), ITEMS.columns),
    ]
    assert contract().document_shapes() == [DocumentShape("all", ORDERS.columns, {"items": ITEMS.columns})]


@pytest.mark.parametrize(
    ("key", "columns", "complaint"),
    [
        (("id", "no"), {"id": "bigint"}, r"\['id', 'no'\] is not among"),
        (("id",), {"id": "bigint", "_offset": "bigint"}, r"\['_offset'\] are ours"),
        (("id",), {"id": "bigint", "_Shown": "boolean"}, r"\['_Shown'\] are ours"),
        (("id",), {"id": "bigint", "_op": "text"}, r"\['_op'\] are ours"),
        (("rowid",), {"rowid": "bigint"}, r"\['rowid'\] are ours"),
        (("id",), {"id": "bigint", "ID": "bigint"}, "differ in case only"),
    ],
)
def test_a_table_that_cannot_be_kept_is_refused(key: tuple[str, ...], columns: dict[str, str], complaint: str) -> None:
    with pytest.raises(InvalidDefinitions, match=complaint):
        TableDefinition(source="public.orders", key=key, columns=columns)


@pytest.mark.parametrize(
    ("tables", "complaint"),
    [
        ({"one": ORDERS, "other": ORDERS}, "same source"),
        ({"orders": ORDERS, "Orders": ITEMS}, "one name in DuckDB"),
        ({"orders": ORDERS, "orders_history": ITEMS}, r"one name in DuckDB: \['orders_history'\]"),
    ],
)
def test_tables_that_would_be_one_are_refused(tables: dict[str, TableDefinition], complaint: str) -> None:
    with pytest.raises(InvalidDefinitions, match=complaint):
        ModelDefinitions(topic_prefix="cdc", tables=tables, documents={})


@pytest.mark.parametrize("name", ["", "Orders", "_orders", "o/rders", "o" * 101, "readmodels", "orders*"])
def test_a_document_is_named_as_every_store_can_name_things(name: str) -> None:
    with pytest.raises(InvalidDefinitions, match="document"):
        ModelDefinitions(topic_prefix="cdc", tables={"orders": ORDERS, "items": ITEMS}, documents={name: DOCUMENT})


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        (DocumentDefinition(root="nothing"), "there is no table nothing"),
        (
            replace(DOCUMENT, collections={"items": CollectionDefinition(table="no", parent=("id",))}),
            "all.items: there is no",
        ),
        (
            replace(DOCUMENT, collections={"items": CollectionDefinition(table="items", parent=("id",))}),
            "does not hold the key",
        ),
        (
            replace(DOCUMENT, collections={"items": CollectionDefinition(table="items", parent=("order_id", "line"))}),
            "does not hold the key of orders",
        ),
        *(
            (
                replace(DOCUMENT, collections={name: CollectionDefinition(table="items", parent=("order_id",))}),
                "cannot be the name",
            )
            for name in ("total", "a/b", "", "readmodels")
        ),
    ],
)
def test_a_document_that_cannot_be_made_is_refused(document: DocumentDefinition, complaint: str) -> None:
    with pytest.raises(InvalidDefinitions, match=complaint):
        contract(all=document)


def test_a_root_column_may_not_take_the_place_of_what_is_ours() -> None:
    table = replace(ORDERS, columns={**ORDERS.columns, "readmodels": "text"})
    assert ModelDefinitions(topic_prefix="cdc", tables={"orders": table}, documents={}).tables == {"orders": table}
    with pytest.raises(InvalidDefinitions, match="readmodels is ours"):
        ModelDefinitions(
            topic_prefix="cdc", tables={"orders": table}, documents={"orders": DocumentDefinition(root="orders")}
        )
