"""Avro envelopes in Confluent's wire format."""

from typing import Any

import numpy as np
import numpy.typing as npt

from connectors.avro_records import read_records
from connectors.avro_schema import UnresolvedSchema, fields_of, resolved
from connectors.envelope import TableColumns
from connectors.framing import Frames, frame
from connectors.plan import Plan, plan
from connectors.registry import Schemas
from connectors.sent import Batch, Sent
from connectors.values import Decimals
from connectors.wire import avro_wire


class NotAnEnvelope(ValueError):
    """A schema is not that of a change."""


class AvroTable:
    """Takes the envelopes of one table out of its topic's values."""

    def __init__(self, table: TableColumns, schemas: Schemas, decimals: Decimals) -> None:
        self._table = table
        self._schemas = schemas
        self._decimals = decimals
        self._layouts: dict[int, AvroLayout | NotAnEnvelope] = {}

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
                faults.update(dict.fromkeys(rows.tolist(), f"schema {schema_id}: {layout}"))
            else:
                sent.append((layout.read(frames, rows), layout.plan))
        return Batch(sent, faults, frames.tombstones)

    def _layout(self, schema_id: int) -> "AvroLayout | NotAnEnvelope":
        if schema_id not in self._layouts:
            schema = self._schemas.schema(schema_id)
            try:
                self._layouts[schema_id] = AvroLayout(schema, self._table, self._decimals)
            except NotAnEnvelope as error:
                self._layouts[schema_id] = error
        return self._layouts[schema_id]


class AvroLayout:
    """One schema of a table's envelopes."""

    def __init__(self, schema: Any, table: TableColumns, decimals: Decimals) -> None:
        """Take the schema apart.

        Raises:
            NotAnEnvelope: the schema is not that of a change.
        """
        try:
            self._schema = resolved(schema)
        except UnresolvedSchema as error:
            raise NotAnEnvelope(str(error)) from error
        fields = fields_of(self._schema)
        if not {"op", "source", "before", "after"} <= fields.keys() or not _is_envelope(self._schema):
            raise NotAnEnvelope("not the schema of an envelope")
        wires = {name: avro_wire(form) for name, form in fields_of(fields["after"]).items()}
        self.plan: Plan = plan(table, wires, decimals)
        self._columns = list(self.plan.readers)

    def read(self, frames: Frames, rows: npt.NDArray[np.int64]) -> Sent:
        """Read the envelopes at these rows."""
        return read_records(self._schema, self._columns, frames, rows)


def _is_envelope(schema: Any) -> bool:
    name: str = schema["name"]
    return name.rpartition(".")[2] == "Envelope"
