"""Wire format of an Avro record: a zero byte, the four-byte id of its schema, then the body.

Source: https://docs.confluent.io/platform/current/schema-registry/fundamentals/serdes-develop/index.html#wire-format
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from connectors.avro.primitives import PADDING_BYTES

HEADER_BYTES = 5

_PADDING = bytes(PADDING_BYTES)


@dataclass(frozen=True)
class FramedValues:
    """Values of one batch, concatenated.

    Attributes:
        data: all values, one after the other, and PADDING_BYTES zeros.
        starts, ends: the start and end of each body in `data`, by row.
        schema_ids: by row; -1 if there is no body to read.
        tombstones: the number of null values.
        faults: the reason for which a value has no body, by row.
    """

    data: pa.Buffer
    starts: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]
    schema_ids: npt.NDArray[np.int64]
    tombstones: int
    faults: dict[int, str]


def parse_frames(values: list[bytes | None]) -> FramedValues:
    """Parse the wire format of all values of a batch at once."""
    joined = pa.array([*values, _PADDING], pa.large_binary())
    offsets = np.frombuffer(joined.buffers()[1], np.int64)[: len(values) + 2]
    data = joined.buffers()[2]
    octets = np.frombuffer(data, np.uint8)
    starts, ends = offsets[:-2], offsets[1:-1]
    present = joined.is_valid().to_numpy(zero_copy_only=False)[:-1]
    framed = present & (ends - starts >= HEADER_BYTES)
    framed[framed] = octets[starts[framed]] == 0
    schema_ids = np.full(len(values), -1, np.int64)
    for byte in range(1, HEADER_BYTES):
        schema_ids[framed] = (schema_ids[framed] if byte > 1 else 0) << 8 | octets[starts[framed] + byte]
    unframed = np.flatnonzero(present & ~framed)
    faults = {int(row): _fault(values[row] or b"") for row in unframed}
    return FramedValues(data, starts + HEADER_BYTES, ends, schema_ids, int(len(values) - present.sum()), faults)


def _fault(value: bytes) -> str:
    match value[:1]:
        case b"":
            return "the value is empty, but not null"
        case b"{" | b"[":
            return "the value is JSON, but this topic is declared to hold Avro"
        case b"\x00":
            return f"the value of {len(value)} bytes is too short to name a schema"
        case b"\x01":
            return "the value names its schema by a GUID in a header, which is not supported"
        case other:
            return f"the value begins with byte {other[0]:#04x}, which is no known wire format"
