"""Decoder of Avro envelopes in Confluent's wire format."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from connectors.avro.cursor import TRAILING_BYTES, TRUNCATED, Column, Cursor, FieldReader, NotColumnar, RecordColumn
from connectors.avro.fields import FieldSelection, field_reader
from connectors.avro.primitives import AvroBuffer, Ints
from connectors.avro.schema import UnresolvedSchema, inline_types, record_fields
from connectors.avro.wire_format import FramedValues, parse_frames
from connectors.decode.avro_rows import RowReader
from connectors.decode.column_plan import ColumnPlan, plan_columns
from connectors.decode.raw_envelope import SOURCE_FIELDS, RawEnvelopes, RawImage, RawValues
from connectors.envelope import SourceTable
from connectors.schema_lookup import SchemaLookup
from connectors.types.numeric import DecimalPolicy
from connectors.types.wire_types import from_avro

_SOURCE_FORMS = {name: "string" if kind == pa.string() else "long" for name, kind in SOURCE_FIELDS.items()}

_VIEWED_BYTES = 2**31
"""Maximum size of the buffer that an Arrow view can reference."""


class NotAnEnvelope(ValueError):
    """A schema is not that of an envelope."""


class AvroTableDecoder:
    """Decoder of one table's envelopes from the values of its topic."""

    def __init__(self, table: SourceTable, schemas: SchemaLookup, decimals: DecimalPolicy) -> None:
        self._table = table
        self._schemas = schemas
        self._decimals = decimals
        self._layouts: dict[int, AvroSchemaDecoder | NotAnEnvelope] = {}

    @property
    def schema_ids(self) -> frozenset[int]:
        """The ids of all schemas decoded so far."""
        return frozenset(self._layouts)

    def read(self, values: list[bytes | None]) -> RawValues:
        """Decode a batch, one schema after the other.

        Raises:
            DependencyUnavailable: a schema cannot be fetched.
        """
        frames = parse_frames(values)
        faults = dict(frames.faults)
        sent = []
        for schema_id in np.unique(frames.schema_ids[frames.schema_ids >= 0]).tolist():
            rows = np.flatnonzero(frames.schema_ids == schema_id)
            layout = self._layout(schema_id)
            if isinstance(layout, NotAnEnvelope):
                faults.update(dict.fromkeys(rows.tolist(), str(layout)))
            else:
                sent.append((layout.read(frames, rows), layout.plan))
        return RawValues(sent, faults, frames.tombstones)

    def _layout(self, schema_id: int) -> "AvroSchemaDecoder | NotAnEnvelope":
        if schema_id not in self._layouts:
            try:
                schema = inline_types(self._schemas.schema(schema_id))
                self._layouts[schema_id] = AvroSchemaDecoder(schema, self._table, self._decimals)
            except (UnresolvedSchema, NotAnEnvelope) as error:
                self._layouts[schema_id] = NotAnEnvelope(f"schema {schema_id}: {error}")
        return self._layouts[schema_id]


class AvroSchemaDecoder:
    """Decoder of one schema of a table's envelopes."""

    def __init__(self, schema: Any, table: SourceTable, decimals: DecimalPolicy) -> None:
        """Plan the columns of a resolved schema.

        Raises:
            NotAnEnvelope: the schema is not that of an envelope.
        """
        if not _is_envelope(schema):
            raise NotAnEnvelope("not the schema of an envelope")
        fields = record_fields(schema)
        wires = {name: from_avro(form) for name, form in record_fields(fields["after"]).items()}
        self.plan: ColumnPlan = plan_columns(table, wires, decimals)
        columns = list(self.plan.readers)
        self._records = RowReader(schema, columns)
        self._step = _readable(field_reader(schema, _wanted(columns, fields)))

    def read(self, frames: FramedValues, rows: Ints) -> RawEnvelopes:
        """Read the envelopes at these rows: all at once, or one by one if that is impossible."""
        if self._step is None or frames.data.size >= _VIEWED_BYTES:
            return self._records.read(frames, rows)
        try:
            return _read_columns(self._step, frames, rows)
        except (pa.ArrowInvalid, NotColumnar):
            # A text is not UTF-8, and fastavro finds the record; or an array is very long.
            return self._records.read(frames, rows)


def _wanted(columns: list[str], fields: Mapping[str, Any]) -> FieldSelection:
    source = dict.fromkeys(SOURCE_FIELDS.keys() & record_fields(fields["source"]).keys())
    image = dict.fromkeys(columns)
    return {"op": None, "source": source, "before": image, "after": image}


def _readable(how: FieldReader) -> FieldReader | None:
    """Return the reader, or None if the schema cannot be read in columns (tested on an empty batch)."""
    try:
        _read(how, parse_frames([]), np.zeros(0, np.int64))
    except NotColumnar:
        return None
    return how


def _read_columns(how: FieldReader, frames: FramedValues, rows: Ints) -> RawEnvelopes:
    envelopes, faults = _read(how, frames, rows)
    if faults:
        rows = np.setdiff1d(rows, list(faults))
        envelopes, _ = _read(how, frames, rows)
    source = _fields(envelopes.columns["source"]).columns
    return RawEnvelopes(
        rows=rows,
        op=envelopes.columns["op"].arrow(),
        source={
            name: source[name].arrow() if name in source else pa.nulls(len(rows), kind)
            for name, kind in SOURCE_FIELDS.items()
        },
        before=_image(_fields(envelopes.columns["before"])),
        after=_image(_fields(envelopes.columns["after"])),
        faults=faults,
    )


def _read(how: FieldReader, frames: FramedValues, rows: Ints) -> tuple[RecordColumn, dict[int, str]]:
    """Read these rows, and return the faults of those that cannot be read. Their column values are meaningless."""
    cursor = Cursor(AvroBuffer(frames.data), frames.starts[rows], frames.ends[rows], rows, {})
    envelopes = _fields(how.read(cursor))
    cursor.fail(cursor.at < cursor.end, TRAILING_BYTES)
    cursor.fail(cursor.at > cursor.end, TRUNCATED)
    return envelopes, cursor.faults


def _fields(column: Column) -> RecordColumn:
    if not isinstance(column, RecordColumn):
        raise NotColumnar("an envelope whose parts are not records")
    return column


def _image(image: RecordColumn) -> RawImage:
    present = np.ones(image.count, bool) if image.valid is None else image.valid
    return RawImage(present, {name: column.arrow() for name, column in image.columns.items()})


def _is_envelope(schema: Any) -> bool:
    if not isinstance(schema, dict) or schema["type"] != "record":
        return False
    fields = record_fields(schema)
    source = {name: from_avro(form).form for name, form in record_fields(fields.get("source", "null")).items()}
    return (
        schema["name"].rpartition(".")[2] == "Envelope"
        and fields.get("op") == "string"
        and {"before", "after"} <= fields.keys()
        and record_fields(fields["before"]) == record_fields(fields["after"])
        and {"schema", "table"} <= source.keys()
        and all(source.get(name, form) == form for name, form in _SOURCE_FORMS.items())
    )
