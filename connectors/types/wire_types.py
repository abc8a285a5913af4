"""Wire type of a column: its Avro or Connect type, and the schema name that gives its meaning."""

from dataclasses import dataclass
from typing import Any

import msgspec

from connectors.types.pg_types import ColumnType, TypeKind


@dataclass(frozen=True)
class WireType:
    """Wire form of one column.

    Attributes:
        form: an Avro type, or `base64` for the bytes of a JSON document.
        name: the Connect schema's name, such as `io.debezium.time.MicroTimestamp`.
        scale: digits after the point, if they are fixed outside the value: by the schema of a decimal in bytes, or by
            the column of a decimal text without schema.
        item: the form of an array's elements.
    """

    form: str
    name: str | None = None
    scale: int | None = None
    item: "WireType | None" = None


def from_avro(schema: Any) -> WireType:
    """Return the wire type of one field's Avro schema, without its nullability."""
    if isinstance(schema, list):
        others = [branch for branch in schema if branch != "null"]
        return from_avro(others[0]) if len(others) == 1 else WireType("union")
    if isinstance(schema, str):
        return WireType(schema)
    form = schema["type"]
    if not isinstance(form, str):
        return from_avro(form)
    item = from_avro(schema["items"]) if form == "array" else None
    name = schema.get("connect.name") or _LOGICAL_NAMES.get(schema.get("logicalType"))
    if form == "record" and name is None:
        name = ".".join(part for part in (schema.get("namespace"), schema.get("name")) if part)
    return WireType(form, name, schema.get("scale", 0) if schema.get("logicalType") == "decimal" else None, item)


class ConnectSchema(msgspec.Struct):
    """Schema as Connect's JSON converter sends it with each value.

    Source: https://kafka.apache.org/documentation/#connect_developing (org.apache.kafka.connect.json.JsonSchema)
    """

    type: str
    field: str | None = None
    name: str | None = None
    parameters: dict[str, str] | None = None
    items: "ConnectSchema | None" = None
    fields: "list[ConnectSchema]" = []


def from_connect(schema: ConnectSchema) -> WireType:
    """Return the wire type of a field's Connect schema."""
    scale = (schema.parameters or {}).get("scale", "")
    return WireType(
        _CONNECT_FORMS.get(schema.type, schema.type),
        schema.name,
        int(scale) if scale.removeprefix("-").isdecimal() else None,
        None if schema.items is None else from_connect(schema.items),
    )


def default_json(column: ColumnType) -> WireType:
    """Return the wire type of a column in JSON without schemas, under the connector's required settings.

    Those are decimal.handling.mode=string, time.precision.mode=adaptive_time_microseconds,
    interval.handling.mode=string and binary.handling.mode=bytes.
    """
    match column.kind:
        case TypeKind.TIMESTAMP if column.fraction_digits <= 3:
            return WireType("long", "io.debezium.time.Timestamp")
        case TypeKind.NUMERIC:
            return WireType("string", scale=column.scale or None)
        case TypeKind.FLOAT if column.arrow.bit_width == 32:
            return WireType("float")
        case TypeKind.BITS:
            return WireType("boolean") if column.scale == 1 else WireType("base64", "io.debezium.data.Bits")
        case TypeKind.ARRAY if column.item is not None:
            return WireType("array", item=default_json(column.item))
        case _:
            return _ASSUMED[column.kind]


_LOGICAL_NAMES = {
    "decimal": "org.apache.kafka.connect.data.Decimal",
    "date": "org.apache.kafka.connect.data.Date",
    "time-millis": "org.apache.kafka.connect.data.Time",
    "time-micros": "io.debezium.time.MicroTime",
    "timestamp-millis": "org.apache.kafka.connect.data.Timestamp",
    "timestamp-micros": "io.debezium.time.MicroTimestamp",
}

_CONNECT_FORMS = {
    "int8": "int",
    "int16": "int",
    "int32": "int",
    "int64": "long",
    "float": "float",
    "double": "double",
    "boolean": "boolean",
    "string": "string",
    "bytes": "base64",
    "array": "array",
    "map": "map",
    "struct": "record",
}

_ASSUMED = {
    TypeKind.INTEGER: WireType("long"),
    TypeKind.FLOAT: WireType("double"),
    TypeKind.BOOLEAN: WireType("boolean"),
    TypeKind.TEXT: WireType("string"),
    TypeKind.BYTES: WireType("base64"),
    TypeKind.HSTORE: WireType("string", "io.debezium.data.Json"),
    TypeKind.DATE: WireType("int", "io.debezium.time.Date"),
    TypeKind.TIME: WireType("long", "io.debezium.time.MicroTime"),
    TypeKind.TIMESTAMP: WireType("long", "readmodels.PostgresTimestamp"),
    TypeKind.TIMESTAMPTZ: WireType("string", "io.debezium.time.ZonedTimestamp"),
}
