"""Keys of rows, computed from the JSON that a read model shows."""

from __future__ import annotations

from binascii import Error as MalformedBase64
from binascii import a2b_base64
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from connectors.envelope import SourceTable, image_type
from connectors.types.iso8601 import parse_date, parse_timestamp
from connectors.types.pg_types import DATE_INFINITY, TIMESTAMP_INFINITY
from connectors.types.timestamps import stored_us
from pipeline.definitions import TableDefinition
from pipeline.ingest.json_text import struct_field
from pipeline.ingest.key_text import UnfitKey, columns_of, key_type
from pipeline.ingest.projection import key_of, part_of
from pipeline.table_view import TableView

_INFINITE = {"infinity": 1, "-infinity": -1}


def label_of(fields: Mapping[str, Any], key: Sequence[str]) -> str | None:
    """Return a text that identifies a row among its siblings, made from its key columns as shown.

    Returns None if a column is missing or null.
    """
    texts = [fields.get(name) for name in key]
    if any(text is None for text in texts):
        return None
    if len(texts) == 1:
        return str(texts[0])
    return ":".join(str(text).replace("\\", "\\\\").replace(":", "\\:") for text in texts)


def key_columns(fields: Mapping[str, Any], view: TableView, document: str = "") -> dict[str, Any]:
    """Return the columns of a row's key, from its fields and the key of the document that it is in.

    Raises:
        UnfitKey: the document's key does not have the right number of columns.
    """
    hidden = [column for column in view.table.key if column not in view.fields]
    implied = dict(zip(view.owner, columns_of(document, len(view.owner)), strict=True)) if hidden else {}
    shown = {column: fields.get(view.fields[column]) for column in view.table.key if column in view.fields}
    return {**{column: implied[column] for column in hidden}, **shown}


def key_of_shown(fields: Mapping[str, Any], view: TableView) -> str:
    """Return the key of the document that has this root row.

    Raises:
        UnfitKey: the row has no valid key.
    """
    images = _chunked(key_columns(fields, view), view.table)
    return str(key_of(images, view.table, view.owner)[0].as_py())


def part_of_shown(fields: Mapping[str, Any], table: TableDefinition) -> str:
    """Return a child row's own key, in the form that a document's part name uses.

    Raises:
        UnfitKey: the row has no valid key.
    """
    return str(part_of(_chunked(fields, table), table)[0].as_py())


def columns_of_shown(fields: Mapping[str, Any], table: TableDefinition) -> dict[str, str]:
    """Return the texts of a row's key, by column.

    Raises:
        UnfitKey: the row has no valid key.
    """
    images = key_images(table, [fields])
    return {name: str(key_type(table.columns[name]).arrow(struct_field(images, name))[0].as_py()) for name in table.key}


def key_images(table: TableDefinition, keys: Sequence[Mapping[str, Any]]) -> pa.StructArray:
    """Return row images in which only the key columns are set.

    Args:
        keys: the columns of each key, as in JSON.

    Raises:
        UnfitKey: a value is not valid for its column.
    """
    types = image_type(SourceTable(table.source, table.columns))
    arrays = [
        _typed(field.name, [key.get(field.name) for key in keys], field.type)
        if field.name in table.key
        else pa.nulls(len(keys), field.type)
        for field in types
    ]
    return pa.StructArray.from_arrays(arrays, fields=list(types))


def _chunked(fields: Mapping[str, Any], table: TableDefinition) -> pa.ChunkedArray:
    return pa.chunked_array([key_images(table, [fields])])


def _typed(name: str, values: list[Any], arrow: pa.DataType) -> pa.Array:
    if any(value is None or isinstance(value, dict | list) for value in values):
        raise UnfitKey(f"{name} is not shown")
    try:
        if pa.types.is_boolean(arrow):
            return pa.array(values, arrow)
        texts = list(map(str, values))
        if pa.types.is_integer(arrow):
            return pa.array(list(map(int, texts)), arrow)
        if pa.types.is_binary(arrow):
            return pa.array([a2b_base64(text, strict_mode=True) for text in texts], arrow)
        if pa.types.is_temporal(arrow):
            return pa.array([_count(text, arrow) for text in texts], pa.int64()).cast(_counted(arrow)).cast(arrow)
        return pa.array(texts, pa.string()).cast(arrow)
    except (pa.ArrowException, ValueError, TypeError, OverflowError, MalformedBase64) as error:
        raise UnfitKey(f"{name} is not shown as a value of its type") from error


def _count(text: str, arrow: pa.DataType) -> int:
    """Return the number of days or microseconds, whichever unit the type has."""
    if pa.types.is_time(arrow):
        return parse_timestamp(f"1970-01-01T{text}")
    last = DATE_INFINITY if pa.types.is_date(arrow) else TIMESTAMP_INFINITY
    if text in _INFINITE:
        return _INFINITE[text] * last
    return parse_date(text) if pa.types.is_date(arrow) else stored_us(parse_timestamp(text))


def _counted(arrow: pa.DataType) -> pa.DataType:
    return pa.int32() if pa.types.is_date(arrow) else pa.int64()
