"""Avro envelopes in Confluent's wire format."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from connectors.avro.cursor import CUT_SHORT, LEFT_OVER, Column, Cursor, Fields, Step, Unreadable
from connectors.avro.fields import Wanted, step
from connectors.avro.primitives import Ints, Octets
from connectors.avro.schema import UnresolvedSchema, fields_of, resolved
from connectors.avro.wire_format import Frames, frame
from connectors.decode.avro_rows import RecordReader
from connectors.decode.column_plan import Plan, plan
from connectors.decode.raw_envelope import SOURCE_FIELDS, Batch, Image, Sent
from connectors.envelope import TableColumns
from connectors.schema_lookup import Schemas
from connectors.types.numeric import Decimals
from connectors.types.wire_types import avro_wire

_SOURCE_FORMS = {name: "string" if kind == pa.string() else "long" for name, kind in SOURCE_FIELDS.items()}

_VIEWED_BYTES = 2**31
"""How much an Arrow view can point into."""


class NotAnEnvelope(ValueError):
    """A schema is not that of a change."""


class AvroTable:
    """Takes the envelopes of one table out of its topic's values."""

    def __init__(self, table: TableColumns, schemas: Schemas, decimals: Decimals) -> None:
        self._table = table
        self._schemas = schemas
        self._decimals = decimals
        self._layouts: dict[int, AvroLayout | NotAnEnvelope] = {}

    @property
    def schema_ids(self) -> frozenset[int]:
        """The ids of the schemas that were met so far."""
        return frozenset(self._layouts)

    def read(self, values: list[bytes | None]) -> Batch:
        """Read a batch, one schema after the other.

        Raises:
            SystemicError: a schema cannot be had.
        """
        frames = frame(values)
        faults = dict(frames.faults)
        sent = []
        for schema_id in np.unique(frames.schema_ids[frames.schema_ids >= 0]).tolist():
            rows = np.flatnonzero(frames.schema_ids == schema_id)
            layout = self._layout(schema_id)
            if isinstance(layout, NotAnEnvelope):
                faults.update(dict.fromkeys(rows.tolist(), str(layout)))
            else:
                sent.append((layout.read(frames, rows), layout.plan))
        return Batch(sent, faults, frames.tombstones)

    def _layout(self, schema_id: int) -> "AvroLayout | NotAnEnvelope":
        if schema_id not in self._layouts:
            try:
                schema = resolved(self._schemas.schema(schema_id))
                self._layouts[schema_id] = AvroLayout(schema, self._table, self._decimals)
            except (UnresolvedSchema, NotAnEnvelope) as error:
                self._layouts[schema_id] = NotAnEnvelope(f"schema {schema_id}: {error}")
        return self._layouts[schema_id]


class AvroLayout:
    """One schema of a table's envelopes."""

    def __init__(self, schema: Any, table: TableColumns, decimals: Decimals) -> None:
        """Take a resolved schema apart.

        Raises:
            NotAnEnvelope: the schema is not that of a change.
        """
        if not _is_envelope(schema):
            raise NotAnEnvelope("not the schema of an envelope")
        fields = fields_of(schema)
        wires = {name: avro_wire(form) for name, form in fields_of(fields["after"]).items()}
        self.plan: Plan = plan(table, wires, decimals)
        columns = list(self.plan.readers)
        self._records = RecordReader(schema, columns)
        self._step = _readable(step(schema, _wanted(columns, fields)))

    def read(self, frames: Frames, rows: Ints) -> Sent:
        """Read the envelopes at these rows: all at once, or one by one where that cannot be."""
        if self._step is None or frames.data.size >= _VIEWED_BYTES:
            return self._records.read(frames, rows)
        try:
            return _read_columns(self._step, frames, rows)
        except (pa.ArrowInvalid, Unreadable):
            # A text that is not UTF-8, and fastavro finds out whose; or a very long array.
            return self._records.read(frames, rows)


def _wanted(columns: list[str], fields: Mapping[str, Any]) -> Wanted:
    source = dict.fromkeys(SOURCE_FIELDS.keys() & fields_of(fields["source"]).keys())
    image = dict.fromkeys(columns)
    return {"op": None, "source": source, "before": image, "after": image}


def _readable(how: Step) -> Step | None:
    """Return the step unless something in it cannot be read in columns, which shows when nothing is read."""
    try:
        _read(how, frame([]), np.zeros(0, np.int64))
    except Unreadable:
        return None
    return how


def _read_columns(how: Step, frames: Frames, rows: Ints) -> Sent:
    envelopes, faults = _read(how, frames, rows)
    if faults:
        rows = np.setdiff1d(rows, list(faults))
        envelopes, _ = _read(how, frames, rows)
    source = _fields(envelopes.columns["source"]).columns
    return Sent(
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


def _read(how: Step, frames: Frames, rows: Ints) -> tuple[Fields, dict[int, str]]:
    """Read these rows, and say which of them cannot be: what stands in the columns for those means nothing."""
    cursor = Cursor(Octets(frames.data), frames.starts[rows], frames.ends[rows], rows, {})
    envelopes = _fields(how.read(cursor))
    cursor.fail(cursor.at < cursor.end, LEFT_OVER)
    cursor.fail(cursor.at > cursor.end, CUT_SHORT)
    return envelopes, cursor.faults


def _fields(column: Column) -> Fields:
    if not isinstance(column, Fields):
        raise Unreadable("an envelope whose parts are not records")
    return column


def _image(image: Fields) -> Image:
    present = np.ones(image.count, bool) if image.valid is None else image.valid
    return Image(present, {name: column.arrow() for name, column in image.columns.items()})


def _is_envelope(schema: Any) -> bool:
    if not isinstance(schema, dict) or schema["type"] != "record":
        return False
    fields = fields_of(schema)
    source = {name: avro_wire(form).form for name, form in fields_of(fields.get("source", "null")).items()}
    return (
        schema["name"].rpartition(".")[2] == "Envelope"
        and fields.get("op") == "string"
        and {"before", "after"} <= fields.keys()
        and fields_of(fields["before"]) == fields_of(fields["after"])
        and {"schema", "table"} <= source.keys()
        and all(source.get(name, form) == form for name, form in _SOURCE_FORMS.items())
    )
