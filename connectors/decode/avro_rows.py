"""Row-by-row Avro decoding by fastavro, for schemas that cannot be read in columns, and as the reference for tests."""

import io
from collections.abc import Sequence
from typing import Any

import fastavro
import numpy as np
import pyarrow as pa

from connectors.avro.primitives import Ints
from connectors.avro.schema import strip_logical_types
from connectors.avro.wire_format import FramedValues
from connectors.decode.raw_envelope import SOURCE_FIELDS, RawEnvelopes, RawImage


class RowReader:
    """Reader of the bodies of one schema, which keeps the declared columns of their images."""

    def __init__(self, schema: Any, columns: Sequence[str]) -> None:
        """Set the resolved schema, and the declared columns that it has."""
        self._schema = fastavro.parse_schema(strip_logical_types(schema))
        self._columns = columns

    def read(self, frames: FramedValues, rows: Ints) -> RawEnvelopes:
        """Read the bodies at `rows`."""
        data = memoryview(frames.data)
        faults: dict[int, str] = {}
        envelopes: list[dict[str, Any]] = []
        kept: list[int] = []
        for row in rows.tolist():
            body = io.BytesIO(data[frames.starts[row] : frames.ends[row]])
            fault = None
            try:
                envelope: Any = fastavro.schemaless_reader(body, self._schema, None)
            except Exception as error:  # noqa: BLE001 - fastavro raises any exception, depending on the bytes
                fault = f"the body does not follow its schema: {type(error).__name__}"
            else:
                if body.read(1):
                    fault = "bytes are left over after the body"
            if fault:
                faults[row] = fault
            else:
                kept.append(row)
                envelopes.append(envelope)
        return to_columns(envelopes, self._columns, kept, faults)


def to_columns(
    envelopes: list[dict[str, Any]], columns: Sequence[str], rows: list[int], faults: dict[int, str]
) -> RawEnvelopes:
    """Convert envelopes from dictionaries to columns."""
    sources = [envelope["source"] for envelope in envelopes]
    return RawEnvelopes(
        rows=np.array(rows, np.int64),
        op=pa.array([envelope["op"] for envelope in envelopes], pa.string()),
        source={name: pa.array([source.get(name) for source in sources], kind) for name, kind in SOURCE_FIELDS.items()},
        before=_image([envelope.get("before") for envelope in envelopes], columns),
        after=_image([envelope.get("after") for envelope in envelopes], columns),
        faults=faults,
    )


def _image(images: list[dict[str, Any] | None], columns: Sequence[str]) -> RawImage:
    return RawImage(
        present=np.array([image is not None for image in images], bool),
        columns={name: [image[name] if image else None for image in images] for name in columns},
    )
