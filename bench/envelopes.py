"""Recorded envelopes of a real connector, encoded again with other rows and positions."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fastavro
import orjson

RECORDED = Path(__file__).with_name("recorded.json")

_HEADER_BYTES = 5

Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Change:
    """Change of one row.

    Args:
        commit_lsn, lsn: the last commit before it, and its own position in the WAL.
        committed_us: commit time of its transaction, in microseconds since 1970.
    """

    table: str
    commit_lsn: int
    lsn: int
    committed_us: int
    before: Row | None
    after: Row | None

    @property
    def op(self) -> str:
        """Debezium's `op` of the change."""
        return "u" if self.before and self.after else "c" if self.after else "d"

    @property
    def key(self) -> bytes:
        """Record key, as Connect's JSON converter writes it."""
        return b'{"id":%d}' % (self.after or self.before or {})["id"]


class Envelopes:
    """Envelopes of one table: its schema, and the fields that a connector adds to its rows."""

    def __init__(self, schema: Any, values: list[bytes]) -> None:
        self.schema = schema
        self._parsed = fastavro.parse_schema(schema)
        first = envelope_of(values[0], schema)
        self._envelope: Row = first
        self._source: Row = first["source"]
        self.rows: tuple[Row, ...] = tuple(envelope_of(value, schema)["after"] for value in values)

    def value(self, change: Change, schema_id: int) -> bytes:
        """Encode a change in Confluent's wire format."""
        source = {
            **self._source,
            "lsn": change.lsn,
            "sequence": f'["{change.commit_lsn}","{change.lsn}"]',
            "ts_ms": change.committed_us // 1000,
            "ts_us": change.committed_us,
            "ts_ns": change.committed_us * 1000,
        }
        envelope = {**self._envelope, "op": change.op, "before": change.before, "after": change.after, "source": source}
        body = io.BytesIO()
        body.write(b"\0" + schema_id.to_bytes(4, "big"))
        fastavro.schemaless_writer(body, self._parsed, envelope)
        return body.getvalue()


def recorded() -> Mapping[str, Envelopes]:
    """Return the recorded envelopes by table."""
    tables = orjson.loads(RECORDED.read_bytes())
    return {
        name: Envelopes(table["schema"], [base64.b64decode(value) for value in table["values"]])
        for name, table in tables.items()
    }


def envelope_of(value: bytes, schema: Any) -> Row:
    """Decode one value in Confluent's wire format."""
    envelope = fastavro.schemaless_reader(io.BytesIO(value[_HEADER_BYTES:]), fastavro.parse_schema(schema), None)
    assert isinstance(envelope, dict)
    return envelope
