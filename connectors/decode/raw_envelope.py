"""Raw envelopes: the columns of the wire format, before the conversion to their declared types."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from connectors.decode.column_plan import ColumnPlan

Column: TypeAlias = "pa.Array | list[Any]"
"""One value per record: an array of the Avro type, or a list if no array type fits."""

SOURCE_FIELDS: Mapping[str, pa.DataType] = {
    "schema": pa.string(),
    "table": pa.string(),
    "snapshot": pa.string(),
    "sequence": pa.string(),
    "lsn": pa.int64(),
    "ts_us": pa.int64(),
    "ts_ms": pa.int64(),
}
"""Fields that are read from an envelope's `source`."""


@dataclass(frozen=True)
class RawImage:
    """One row image of each record.

    Attributes:
        present: the record has the image.
        columns: its declared columns; values of absent images are meaningless.
    """

    present: npt.NDArray[np.bool_]
    columns: Mapping[str, Column]


@dataclass(frozen=True)
class RawEnvelopes:
    """Envelopes of one schema.

    Attributes:
        rows: the indices of these records in the batch, in ascending order.
        op: the operation.
        source: each field of SOURCE_FIELDS.
        before, after: the row images.
        faults: the faults of other records of the batch, by row.
    """

    rows: npt.NDArray[np.int64]
    op: pa.Array
    source: Mapping[str, pa.Array]
    before: RawImage
    after: RawImage
    faults: Mapping[int, str]


@dataclass(frozen=True)
class RawValues:
    """Content of a batch of records, parsed from its wire format.

    Attributes:
        sent: the envelopes by schema, each with its plan.
        faults: the faults of records without an envelope, by row.
        tombstones: the number of null records.
    """

    sent: list[tuple[RawEnvelopes, ColumnPlan]]
    faults: dict[int, str]
    tombstones: int
