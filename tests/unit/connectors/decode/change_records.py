"""Change records for tests, written by fastavro with schemas as Debezium and the Avro converter make them."""

import io
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import fastavro
import numpy as np

from connectors.avro.schema import inline_types, strip_logical_types
from connectors.decode.decoder import DecodedBatch, Decoder
from connectors.envelope import SourceTable
from connectors.errors import UnknownSchema
from connectors.records import RecordBatch

TOPIC = "cdc.public.orders"

ORDERS = SourceTable(
    "public.orders",
    {
        "id": "bigint",
        "status": "text",
        "total": "numeric(12,2)",
        "note": "text",
        "created_at": "timestamp with time zone",
    },
)

COLUMNS: Mapping[str, Any] = {
    "id": "long",
    "status": "string",
    "total": "string",
    "note": ["null", "string"],
    "created_at": {"type": "string", "connect.version": 1, "connect.name": "io.debezium.time.ZonedTimestamp"},
}

ROW: Mapping[str, Any] = {
    "id": 42,
    "status": "paid",
    "total": "12.30",
    "note": "Grüße, 世界",
    "created_at": "2026-01-02T03:04:05.000006Z",
}


@dataclass
class MemorySchemas:
    """Schemas by id, with a count of the requests for each."""

    schemas: Mapping[int, Any]
    asked: list[int] = field(default_factory=list)

    def schema(self, schema_id: int) -> Any:
        self.asked.append(schema_id)
        if schema_id not in self.schemas:
            raise UnknownSchema(f"schema {schema_id}")
        return self.schemas[schema_id]


def envelope_schema(columns: Mapping[str, Any] = COLUMNS, name: str = "cdc.public.orders.Envelope") -> Any:
    """Return the Avro schema of envelopes whose images have these columns."""
    namespace = name.rpartition(".")[0]
    snapshot = {
        "type": "string",
        "connect.version": 1,
        "connect.parameters": {"allowed": "true,first,first_in_data_collection,last,false,incremental"},
        "connect.default": "false",
        "connect.name": "io.debezium.data.Enum",
    }
    source = {
        "version": "string",
        "connector": "string",
        "name": "string",
        "ts_ms": "long",
        "snapshot": [snapshot, "null"],
        "db": "string",
        "sequence": ["null", "string"],
        "ts_us": ["null", "long"],
        "ts_ns": ["null", "long"],
        "schema": "string",
        "table": "string",
        "txId": ["null", "long"],
        "lsn": ["null", "long"],
        "xmin": ["null", "long"],
    }
    value = {"type": "record", "name": "Value", "fields": _fields(columns), "connect.name": f"{namespace}.Value"}
    fields = {
        "before": ["null", value],
        "after": ["null", "Value"],
        "source": {
            "type": "record",
            "name": "Source",
            "namespace": "io.debezium.connector.postgresql",
            "fields": _fields(source),
        },
        "transaction": ["null", {"type": "record", "name": "event.block", "fields": _fields({"id": "string"})}],
        "op": "string",
        "ts_ms": ["null", "long"],
        "ts_us": ["null", "long"],
        "ts_ns": ["null", "long"],
    }
    simple = name.rpartition(".")[2]
    return {"type": "record", "name": simple, "namespace": namespace, "fields": _fields(fields)}


def _fields(types: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"name": name, "type": kind} for name, kind in types.items()]


def change(
    op: str, before: Mapping[str, Any] | None = None, after: Mapping[str, Any] | None = None, **source: Any
) -> dict[str, Any]:
    """Return an envelope; `source` overrides fields of its `source` block."""
    place = {
        "version": "3.6.1.Final",
        "connector": "postgresql",
        "name": "cdc",
        "ts_ms": 1_767_323_045_006,
        "snapshot": "false",
        "db": "orders_db",
        "sequence": '["24023119","24023128"]',
        "ts_us": 1_767_323_045_006_007,
        "ts_ns": 1_767_323_045_006_007_008,
        "schema": "public",
        "table": "orders",
        "txId": 700,
        "lsn": 24_023_128,
        "xmin": None,
    }
    times = {"ts_ms": 1_767_323_045_106, "ts_us": 1_767_323_045_106_007, "ts_ns": 1_767_323_045_106_007_008}
    return {"op": op, "before": before, "after": after, "source": place | source, "transaction": None, **times}


def inserted(**columns: Any) -> dict[str, Any]:
    """Return the insertion of ROW, with some columns changed."""
    return change("c", after={**ROW, **columns})


def body(envelope: Any, schema: Any) -> bytes:
    """Write an envelope in Avro."""
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(strip_logical_types(inline_types(schema))), envelope)
    return out.getvalue()


def framed(envelope: Any, schema: Any | None = None, schema_id: int = 7) -> bytes:
    """Write an envelope in Confluent's wire format."""
    return struct.pack(">bI", 0, schema_id) + body(envelope, envelope_schema() if schema is None else schema)


def batch(values: Sequence[bytes | None], topic: str = TOPIC) -> RecordBatch:
    """Make records of one partition, at the offsets 0, 1, 2, …"""
    count = len(values)
    return RecordBatch(topic, np.zeros(count, np.int32), np.arange(count, dtype=np.int64), [None] * count, list(values))


def decode(
    values: Sequence[bytes | None], table: SourceTable = ORDERS, schemas: Mapping[int, Any] | None = None
) -> DecodedBatch:
    """Decode values; schema 7 is the usual one by default."""
    known = MemorySchemas({7: envelope_schema()} if schemas is None else schemas)
    return Decoder({TOPIC: table}, known).decode(batch(values))


def rows(decoded: DecodedBatch) -> list[dict[str, Any]]:
    """Return all envelopes as dictionaries."""
    found: list[dict[str, Any]] = [row for table in decoded.envelopes for row in table.to_pylist()]
    return found


def offsets(decoded: DecodedBatch) -> list[int]:
    """Return the offsets of all envelopes."""
    return [offset for table in decoded.envelopes for offset in table["offset"].to_pylist()]


def reasons(decoded: DecodedBatch) -> dict[int, str]:
    """Return the reasons of rejected records, by offset."""
    return {rejected.offset: rejected.reason for rejected in decoded.rejected}
