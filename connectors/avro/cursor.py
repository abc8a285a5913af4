"""Many Avro bodies of one schema, read column by column.

Avro has no index: where a field begins is known only when the field before it has been read. So one cursor per record
moves over the same field of all records at once. Every record is held to its own bounds, which finds exactly those that
are cut short, too long, or not of this schema.
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
    """Something cannot be read in columns, or not sensibly."""


class Cursor:
    """Where some of the records are being read.

    Attributes:
        data: all bodies.
        at: the next byte of each record.
        end: the byte after its last.
        rows: which of all records each is.
        faults: what was first found wrong, by row of all records.
    """

    def __init__(self, data: AvroBuffer, at: Ints, end: Ints, rows: Ints, faults: dict[int, str]) -> None:
        self.data, self.at, self.end, self.rows, self.faults = data, at, end, rows, faults

    def __len__(self) -> int:
        return len(self.at)

    def select(self, chosen: Ints) -> "Cursor":
        """Return a cursor over some of these records; `rejoin` brings it back."""
        return Cursor(self.data, self.at[chosen], self.end[chosen], self.rows[chosen], self.faults)

    def merge(self, part: "Cursor", chosen: Ints) -> None:
        self.at[chosen] = part.at

    def require(self, lengths: Ints | int) -> None:
        """Hold every record to its bounds: fail those with fewer than `lengths` bytes left."""
        outside = self.at + lengths > self.end
        if outside.any():
            self.fail(outside, TRUNCATED)

    def longs(self) -> Ints:
        self.require(1)
        values, self.at = self.data.longs(self.at)
        return values

    def byte_ranges(self) -> tuple[Ints, Ints]:
        """Step over a byte string, and return where it starts and how long it is."""
        lengths = self.longs()
        outside = (lengths < 0) | (lengths > self.end - self.at)
        if outside.any():
            self.fail(outside, TRUNCATED)
            lengths = np.where(outside, 0, lengths)
        starts = self.at
        self.at = starts + lengths
        return starts, lengths

    def fail(self, where: Mask, reason: str) -> None:
        """Give up the records at `where`; they are read on as if empty, and must be left out of the result."""
        for row in self.rows[where].tolist():
            self.faults.setdefault(row, reason)
        self.at = np.where(where, self.end, self.at)


def _spread_mask(valid: Mask | None, chosen: Ints, count: int) -> Mask:
    mask = np.zeros(count, bool)
    mask[chosen] = True if valid is None else valid
    return mask


@dataclass(frozen=True)
class NumberColumn:
    """Integers, floats or booleans."""

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
    """Strings of characters or bytes, still where they were sent."""

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
        """Copy the strings out.

        Raises:
            pa.ArrowInvalid: one that should be text is not UTF-8.
        """
        return self.data.texts(self.starts, self.lengths, self.valid).cast(self.kind)


@dataclass(frozen=True)
class RecordColumn:
    """Records, or as many of their fields as are wanted."""

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
    """Arrays: how many items each has, and all items in order."""

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
"""What was read of one field, one entry per record of the cursor.

Each can `spread` into more entries, itself at the chosen ones and null elsewhere, and become an `arrow` array.
"""


class FieldReader(Protocol):
    """Reads one field, or steps over it."""

    def read(self, cursor: Cursor, /) -> Column:
        """Move the cursor past the field and return what was there.

        Raises:
            NotColumnar: there is no column for such a field.
        """

    def skip(self, cursor: Cursor, /) -> None:
        """Move the cursor past the field."""
