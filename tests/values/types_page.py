"""Documentation page with every type's form in each store, made of the code that decides it."""

from __future__ import annotations

from connectors.types.pg_types import ColumnType, TypeKind, parse_column_type
from pipeline.definitions import ModelDefinitions, TableDefinition
from sinks.duckdb.types import duckdb_type
from sinks.elasticsearch.mapping import IndexSettings, index_body
from sinks.pg_type import parse_pg_type
from sinks.shape import DocumentShape
from tests.support.checkout import CHECKOUT
from tests.values.extremes import EXTREMES

PAGE = CHECKOUT / "docs" / "reference" / "types.md"
_MARK = "<!-- Made by `python -m tests.values`; the text above is written by hand. -->"

_JSON = {
    TypeKind.INTEGER: "number",
    TypeKind.FLOAT: "number; `NaN`, `Infinity` and `-Infinity` as strings",
    TypeKind.BOOLEAN: "`true`, `false`",
    TypeKind.NUMERIC: "string with every digit",
    TypeKind.TEXT: "string",
    TypeKind.BYTES: "string, Base64",
    TypeKind.BITS: "string of `0` and `1`",
    TypeKind.HSTORE: "object of strings and nulls",
    TypeKind.DATE: "string, ISO 8601",
    TypeKind.TIME: "string, ISO 8601",
    TypeKind.TIMESTAMP: "string, ISO 8601",
    TypeKind.TIMESTAMPTZ: "string, ISO 8601 in UTC",
}
_BY_NAME = {
    "json": "the JSON value",
    "jsonb": "the JSON value",
    "interval": "string, ISO 8601",
    "timetz": "string, in UTC",
}


def made() -> str:
    """Return the page: the part above the marker unchanged, and below it a line for every type."""
    above = PAGE.read_text().partition(_MARK)[0]
    lines = [
        _MARK,
        "",
        "| PostgreSQL | Elasticsearch and Redis | Mapping in Elasticsearch | DuckDB |",
        "| --- | --- | --- | --- |",
    ]
    for text in EXTREMES:
        name = "an enum, such as `mood`" if text == "mood" else f"`{text}`"
        name = "an array of an enum" if text == "mood[]" else name
        lines.append(f"| {name} | {_json(text)} | {_mapping(text)} | `{_duckdb(text)}` |")
    return above + "\n".join(lines) + "\n"


def _json(text: str) -> str:
    kind = parse_column_type(text)
    return f"array of: {_item(kind.item, text)}" if kind.item else _item(kind, text)


def _item(kind: ColumnType, text: str) -> str:
    return _BY_NAME.get(parse_pg_type(text).name, _JSON[kind.kind])


def _mapping(text: str) -> str:
    body = index_body(DocumentShape("page", {"it": text}), IndexSettings())
    field = body["mappings"]["properties"]["it"]
    if field.get("enabled") is False:
        return "not indexed"
    return f"`{field['type']}`" + (", `.keyword`" if "fields" in field else "")


def _duckdb(text: str) -> str:
    table = TableDefinition(source="public.page", key=("id",), columns={"id": "bigint", "it": text})
    (shape,) = ModelDefinitions(topic_prefix="cdc", tables={"page": table}, documents={}).row_shapes()
    return duckdb_type(shape.columns["it"])
