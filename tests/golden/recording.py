"""The golden recordings, and how what was decoded compares with them."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from connectors.envelope import Format, TableColumns
from connectors.records import Records

Image = dict[str, Any] | None


@dataclass(frozen=True)
class Recording:
    """One topic as a connector wrote it.

    Attributes:
        table: what is declared of the table.
        records: all records of the topic.
        schemas: the Avro schemas that they name.
        changes: what they must be read as: `op`, `before` and `after`, in order.
    """

    table: TableColumns
    records: Records
    schemas: Mapping[int, Any]
    changes: list[tuple[str, Image, Image]]

    def schema(self, schema_id: int) -> Any:
        """Return a schema, as a registry does."""
        return self.schemas[schema_id]


def recording(variant: str) -> Recording:
    """Read the recording of one variant of the connector's settings."""
    text = Path(__file__).with_name(f"{variant}.jsonl").read_text()
    head, *lines = [json.loads(line) for line in text.splitlines()]
    prefix = base64.b64decode(head["prefix"])
    texts = [line["value"] for line in lines if "value" in line]
    values = [None if text is None else prefix + base64.b64decode(text) for text in texts]
    count = len(values)
    return Recording(
        TableColumns(head["table"], head["columns"], Format.JSON if variant.startswith("json") else Format.AVRO),
        Records(head["topic"], np.zeros(count, np.int32), np.arange(count), [None] * count, values),
        {int(schema_id): schema for schema_id, schema in head["schemas"].items()},
        [(line["op"], line["before"], line["after"]) for line in lines if "op" in line],
    )


def comparable(image: pa.StructScalar, expected: Image) -> Image:
    """Say of a decoded image what PostgreSQL says of the row: times as counts, bytes as hexadecimal digits."""
    if not image.is_valid:
        return None
    return {name: _comparable(value, (expected or {}).get(name)) for name, value in image.items()}


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
        # A text of PostgreSQL's that means the same float is as good as ours.
        return expected if expected is not None and str(kind(expected)) == str(kind(value.as_py())) else value.as_py()
    return value.as_py()
