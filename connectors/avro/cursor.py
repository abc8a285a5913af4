"""Cursor over many Avro bodies of one schema, read column by column.

Avro has no index: the start of a field is known only after the field before it has been read. So one cursor per record
moves over the same field of all records at once. Every record is checked against its own bounds. This check finds
exactly the records that are cut short, too long, or not of this schema.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from connectors.avro.primitives import AvroBuffer, Ints, Mask

TRUNCATED = "the body ends before its schema does"
TRAILING_BYTES = "bytes are left over after the body"
SCHEMA_MISMATCH = "the body does not follow its schema"


class NotColumnar(ValueError):
    """A schema or value that cannot be read in columns, or not efficiently."""


class Cursor:
    """Read positions within some of the records.

    Attributes:
        data: all bodies.
        at: the next byte of each record.
        end: the byte after the last byte of each record.
        rows: the index of each record among all records.
        faults: the first fault of each failed record, by its index among all records.
    """

    def __init__(self, data: AvroBuffer, at: Ints, end: Ints, rows: Ints, faults: dict[int, str]) -> None:
        self.data, self.at, self.end, self.rows, self.faults = data, at, end, rows, faults

    def __len__(self) -> int:
        return len(self.at)

    def select(self, chosen: Ints) -> "Cursor":
        """Return a cursor over some of these records; `merge` copies its positions back."""
        return Cursor(self.data, self.at[chosen], self.end[chosen], self.rows[chosen], self.faults)

    def merge(self, part: "Cursor", chosen: Ints) -> None:
        self.at[chosen] = part.at

    def require(self, lengths: Ints | int) -> None:
        """Check the bounds of every record: fail those with fewer than `lengths` bytes left."""
        outside = self.at + lengths > self.end
        if outside.any():
            self.fail(outside, TRUNCATED)

    def longs(self) -> Ints:
        self.require(1)
        values, self.at = self.data.longs(self.at)
        return values

    def byte_ranges(self) -> tuple[Ints, Ints]:
        """Skip a byte string, and return its start and its length."""
        lengths = self.longs()
        outside = (lengths < 0) | (lengths > self.end - self.at)
        if outside.any():
            self.fail(outside, TRUNCATED)
            lengths = np.where(outside, 0, lengths)
        starts = self.at
        self.at = starts + lengths
        return starts, lengths

    def fail(self, where: Mask, reason: str) -> None:
        """Mark the records at `where` as failed. They are then read as if empty, and must be left out of the result."""
        for row in self.rows[where].tolist():
            self.faults.setdefault(row, reason)
        self.at = np.where(where, self.end, self.at)


def _spread_mask(valid: Mask | None, chosen: Ints, count: int) -> Mask:
    mask = np.zeros(count, bool)
    mask[chosen] = True if valid is None else valid
    return mask


@dataclass(frozen=True)
class NumberColumn:
    """Column of integers, floats or booleans."""

    values: Any
    kind: pa.DataType
    valid: Mask | None = None

    def scatter(self, chosen: Ints, count: int) -> "NumberColumn":
        values = np.zeros(count, self.values.dtype)
        values[chosen] = self.values
        return NumberColumn(values, self.kind, _spread_mask(self.valid, chosen, count))

    def arrow(self) -> pa.Array:
        return pa.array(self.values, self.kind, mask=None if self.valid is None else ~self.valid)


@dataclass(frozen=True)
class TextColumn:
    """Column of texts or byte strings that still reference the original buffer."""

    data: AvroBuffer
    starts: Ints
    lengths: Ints
    kind: pa.DataType
    valid: Mask | None = None

    def scatter(self, chosen: Ints, count: int) -> "TextColumn":
        starts, lengths = np.zeros(count, np.int64), np.zeros(count, np.int64)
        starts[chosen], lengths[chosen] = self.starts, self.lengths
        return TextColumn(self.data, starts, lengths, self.kind, _spread_mask(self.valid, chosen, count))

    def arrow(self) -> pa.Array:
        """Copy the texts to an Arrow array.

        Raises:
            pa.ArrowInvalid: a text is not UTF-8.
        """
        return self.data.texts(self.starts, self.lengths, self.valid).cast(self.kind)


@dataclass(frozen=True)
class RecordColumn:
    """Column of records, with those of their fields that are needed."""

    columns: Mapping[str, "Column"]
    count: int
    valid: Mask | None = None

    def scatter(self, chosen: Ints, count: int) -> "RecordColumn":
        columns = {name: column.scatter(chosen, count) for name, column in self.columns.items()}
        return RecordColumn(columns, count, _spread_mask(self.valid, chosen, count))

    def arrow(self) -> pa.Array:
        arrays = [column.arrow() for column in self.columns.values()]
        mask = None if self.valid is None else pa.array(~self.valid)
        return pa.StructArray.from_arrays(arrays, names=list(self.columns), mask=mask)


@dataclass(frozen=True)
class ListColumn:
    """Column of arrays: the item count of each, and all items in order."""

    counts: Ints
    items: pa.Array
    valid: Mask | None = None

    def scatter(self, chosen: Ints, count: int) -> "ListColumn":
        counts = np.zeros(count, np.int64)
        counts[chosen] = self.counts
        return ListColumn(counts, self.items, _spread_mask(self.valid, chosen, count))

    def arrow(self) -> pa.Array:
        offsets = np.zeros(len(self.counts) + 1, np.int32)
        np.cumsum(self.counts, out=offsets[1:])
        mask = None if self.valid is None else pa.array(~self.valid)
        return pa.ListArray.from_arrays(pa.array(offsets), self.items, mask=mask)


Column = NumberColumn | TextColumn | RecordColumn | ListColumn
"""Values of one field, one entry per record of the cursor.

The method `scatter` of a column puts its entries at the chosen indices, with null elsewhere. The method `arrow` returns
an Arrow array.
"""


class FieldReader(Protocol):
    """Reader that reads one field or skips it."""

    def read(self, cursor: Cursor, /) -> Column:
        """Move the cursor past the field, and return its values.

        Raises:
            NotColumnar: the field has no column type.
        """

    def skip(self, cursor: Cursor, /) -> None:
        """Move the cursor past the field."""
