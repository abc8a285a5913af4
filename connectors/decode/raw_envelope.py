"""Envelopes as they were sent: the columns of the wire, before they are given their declared types."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from connectors.decode.column_plan import ColumnPlan

Column: TypeAlias = "pa.Array | list[Any]"
"""One value per record: an array of the Avro type, or a list where no array type fits."""

SOURCE_FIELDS: Mapping[str, pa.DataType] = {
    "schema": pa.string(),
    "table": pa.string(),
    "snapshot": pa.string(),
    "sequence": pa.string(),
    "lsn": pa.int64(),
    "ts_us": pa.int64(),
    "ts_ms": pa.int64(),
}
"""What is read of an envelope's `source`."""


@dataclass(frozen=True)
class RawImage:
    """One row image of each record.

    Attributes:
        present: whether the record has the image.
        columns: its declared columns; what they hold where the image is absent means nothing.
    """

    present: npt.NDArray[np.bool_]
    columns: Mapping[str, Column]


@dataclass(frozen=True)
class RawEnvelopes:
    """The envelopes of one schema.

    Attributes:
        rows: which records of the batch these are, in ascending order.
        op: the operation.
        source: each field of SOURCE_FIELDS.
        before, after: the row images.
        faults: why other records of the batch could not be read, by their row.
    """

    rows: npt.NDArray[np.int64]
    op: pa.Array
    source: Mapping[str, pa.Array]
    before: RawImage
    after: RawImage
    faults: Mapping[int, str]


@dataclass(frozen=True)
class RawValues:
    """What a batch of records holds, taken out of its wire format.

    Attributes:
        sent: the envelopes, schema by schema, each with its plan.
        faults: why other records hold no envelope, by row.
        tombstones: how many records are null.
    """

    sent: list[tuple[RawEnvelopes, ColumnPlan]]
    faults: dict[int, str]
    tombstones: int
