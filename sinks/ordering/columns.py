"""Columns of a change in tables: one per field of `sinks.ordering.register.Change`, and one for its side.

The underscore separates them from columns of the source, which often has a soft-delete column `deleted`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sinks.ordering.register import Change

Integers = npt.NDArray[np.int64]

ORDER_COLUMNS = pa.schema(
    [
        pa.field("_epoch", pa.int32(), nullable=False),
        pa.field("_is_snapshot", pa.bool_(), nullable=False),
        pa.field("_commit_lsn", pa.int64(), nullable=False),
        pa.field("_lsn", pa.int64(), nullable=False),
        pa.field("_tie", pa.int8(), nullable=False),
        pa.field("_offset", pa.int64(), nullable=False),
        pa.field("_partition", pa.int32(), nullable=False),
        pa.field("_deleted", pa.bool_(), nullable=False),
    ]
)
"""Columns that order the changes of a row: the fields of `Change` without its image, and the side."""

CHANGE_COLUMNS = tuple(f"_{field}" for field in Change._fields if field != "image")
"""Columns that make up a `Change` without its image, in the order of its fields."""

VERSION_COLUMNS = ("_epoch", "_commit_lsn", "_lsn", "_tie")
"""Columns that identify a version within one side of a row. A version that was emitted twice has two offsets."""


def version_arrays(changes: pa.Table) -> list[Integers]:
    """Return the columns of `VERSION_COLUMNS`."""
    return [integers(changes, name) for name in VERSION_COLUMNS]


def integers(changes: pa.Table, column: str) -> Integers:
    """Return one of the columns as 64-bit integers."""
    values: Integers = changes[column].to_numpy().astype(np.int64, copy=False)
    return values


def to_changes(rows: pa.Table, images: Iterable[object]) -> Iterator[Change]:
    """Yield each row as a change with its image."""
    return map(Change._make, zip(*(rows[name].to_pylist() for name in CHANGE_COLUMNS), images, strict=True))


def repeat_change(change: Change, count: int, *, is_snapshot: bool) -> dict[str, pa.Array]:
    """Return the columns of `ORDER_COLUMNS` in which every row is the same change."""
    values = dict(zip(CHANGE_COLUMNS, change, strict=False)) | {"_is_snapshot": is_snapshot}
    return {field.name: pa.repeat(pa.scalar(values[field.name], field.type), count) for field in ORDER_COLUMNS}
