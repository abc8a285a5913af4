"""Golden recordings, and their comparison with decoded values."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fastavro
import numpy as np
import pyarrow as pa
from confluent_kafka import Message

from connectors.envelope import NESTED, SourceTable, ValueEncoding
from connectors.records import RecordBatch

GOLDEN = Path(__file__).parent

Image = dict[str, Any] | None

_HEADER_BYTES = 5


@dataclass(frozen=True)
class Record:
    """One record of a topic."""

    topic: str
    key: str | None
    headers: Mapping[str, str]
    value: bytes | None

    @classmethod
    def of(cls, message: Message) -> Record:
        """Convert a consumed message."""
        key, headers = message.key(), dict(message.headers() or ())
        return cls(
            message.topic() or "",
            key if key is None or isinstance(key, str) else key.decode(),
            {name: value.decode() if isinstance(value, bytes) else str(value) for name, value in headers.items()},
            message.value(),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form that `from_json` reads."""
        value = None if self.value is None else base64.b64encode(self.value).decode()
        return {"topic": self.topic, "key": self.key, "headers": dict(self.headers), "value": value}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Record:
        """Read the JSON form that `to_json` wrote."""
        value = content["value"]
        decoded = None if value is None else base64.b64decode(value)
        return cls(content["topic"], content["key"], content["headers"], decoded)


@dataclass(frozen=True)
class Cases:
    """Topics as a connector wrote them, one after the other.

    Attributes:
        schemas: the Avro schemas that the values refer to.
    """

    records: list[Record]
    schemas: Mapping[int, Any]

    def of(self, table: str) -> list[Record]:
        """Return the records of one table's topic, in order."""
        return [record for record in self.records if record.topic.endswith(f".{table}")]

    def envelopes(self, table: str) -> list[Image]:
        """Return the values of one table's topic; a tombstone is None."""
        return [plain(record.value, self.schemas) for record in self.of(table)]


@dataclass(frozen=True)
class Recording:
    """One topic as a connector wrote it.

    Attributes:
        table: the table's declaration.
        records: all records of the topic.
        schemas: the Avro schemas that they refer to.
        changes: expected decoded changes: `op`, `before` and `after`, in order.
    """

    table: SourceTable
    records: RecordBatch
    schemas: Mapping[int, Any]
    changes: list[tuple[str, Image, Image]]

    def schema(self, schema_id: int) -> Any:
        """Return a schema, as a registry does."""
        return self.schemas[schema_id]


def recording(variant: str) -> Recording:
    """Read the recording of one variant of the connector's settings."""
    head, *lines = [json.loads(line) for line in GOLDEN.joinpath(f"{variant}.jsonl").read_text().splitlines()]
    prefix = base64.b64decode(head["prefix"])
    texts = [line["value"] for line in lines if "value" in line]
    values = [None if text is None else prefix + base64.b64decode(text) for text in texts]
    count = len(values)
    return Recording(
        SourceTable(
            head["table"], head["columns"], ValueEncoding.JSON if variant.startswith("json") else ValueEncoding.AVRO
        ),
        RecordBatch(head["topic"], np.zeros(count, np.int32), np.arange(count), [None] * count, values),
        {int(schema_id): schema for schema_id, schema in head["schemas"].items()},
        [(line["op"], line["before"], line["after"]) for line in lines if "op" in line],
    )


def cases(name: str) -> Cases:
    """Read the recorded cases in one format."""
    head, *lines = [json.loads(line) for line in GOLDEN.joinpath(f"{name}.jsonl").read_text().splitlines()]
    schemas = {int(schema_id): schema for schema_id, schema in head["schemas"].items()}
    return Cases([Record.from_json(line) for line in lines], schemas)


def plain(value: bytes | None, schemas: Mapping[int, Any]) -> Any:
    """Return a value in JSON's types as far as possible: decimals and times are not converted."""
    if value is None:
        return None
    if value[:1] != b"\0":
        return json.loads(value)
    schema = without_meaning(schemas[int.from_bytes(value[1:_HEADER_BYTES], "big")])
    return fastavro.schemaless_reader(io.BytesIO(value[_HEADER_BYTES:]), fastavro.parse_schema(schema), None)


def without_meaning(schema: Any) -> Any:
    """Return an Avro schema with plain numbers for dates, which could exceed Python's range."""
    if isinstance(schema, dict):
        return {name: without_meaning(part) for name, part in schema.items() if name != "logicalType"}
    return [without_meaning(part) for part in schema] if isinstance(schema, list) else schema


def comparable(image: pa.StructScalar, expected: Image) -> Image:
    """Convert a decoded image to PostgreSQL's form of the row: times as counts, bytes as hexadecimal digits."""
    if not image.is_valid:
        return None
    return {name: _comparable(value, (expected or {}).get(name)) for name, value in image.items() if name != NESTED}


def _comparable(value: pa.Scalar, expected: Any) -> Any:
    if not value.is_valid:
        return None
    if isinstance(value, pa.ListScalar):
        items = expected if isinstance(expected, list) else []
        return [_comparable(item, items[n] if n < len(items) else None) for n, item in enumerate(value)] or None
    if isinstance(value, pa.Date32Scalar | pa.TimestampScalar | pa.Time64Scalar):
        return value.value
    if isinstance(value, pa.BinaryScalar) and not isinstance(value, pa.StringScalar):
        return value.as_py().hex()
    if isinstance(value, pa.FloatScalar | pa.DoubleScalar):
        kind = np.float32 if isinstance(value, pa.FloatScalar) else np.float64
        # Accept a different PostgreSQL text of the same float.
        return expected if expected is not None and str(kind(expected)) == str(kind(value.as_py())) else value.as_py()
    return value.as_py()
