"""Special values: values that DuckDB's column types cannot store, kept in a JSON column beside the row.

PostgreSQL's numeric has NaN and infinities; DECIMAL does not. PostgreSQL's timestamps end in the year 294276, DuckDB's
in January 294247. The column itself is NULL in that case. In an array the item is NULL, and the JSON column has the
whole array. A finite number that does not fit into the DECIMAL of its column is refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sinks.batch import SPECIAL_COLUMNS
from sinks.duckdb.types import duckdb_type
from sinks.errors import MutationRejected


class NumberRefused(MutationRejected):
    """A number has more digits than the DECIMAL of its column."""

    def __init__(self, column: str, kind: str) -> None:
        super().__init__(f"the column {column} holds a number that its type in DuckDB, {kind}, cannot hold", "duckdb")
        self.remedy = (
            f"In `readmodels.toml`, declare {column} as numeric(38,S), with S digits after the point such that every "
            "number fits, or as text; then run `readmodels replay duckdb --execute`."
        )


_DIGITS = re.compile(r"\d+")
_NOT_DECIMAL = pa.array(["NaN", "Infinity", "-Infinity"])

_TURN_US = 2**64 - 1_000_000
FAR_US = (2**63 - 1 - _TURN_US, 9_224_318_015_999_999_999 - _TURN_US)
"""Lowest and highest number of microseconds that encodes a timestamp beyond 64 bits.

Such a timestamp arrives `_TURN_US` lower than its value, in a range that PostgreSQL does not use.
"""

_DAY_US = 86_400_000_000


def with_special(rows: pa.Table, columns: Mapping[str, str], key: Collection[str] = ()) -> pa.Table:
    """Return the rows as DuckDB can store them, with a column `SPECIAL_COLUMNS` for the values that it cannot.

    Args:
        rows: may have a column `SPECIAL_COLUMNS` already, with the special values found by an earlier step.
        columns: the PostgreSQL type of every column.
        key: the columns that identify a row.

    Raises:
        MutationRejected: a key column has a timestamp that DuckDB cannot store, or a column has such a number.
    """
    found: dict[int, dict[str, Any]] = {}
    for name, text in columns.items():
        kind = duckdb_type(text)
        if kind.startswith("DECIMAL"):
            for row in _owners(rows[name], _is_no_decimal):
                found.setdefault(row, {})[name] = rows[name][row].as_py()
            if not _fits(rows[name], *map(int, _DIGITS.findall(kind))):
                raise NumberRefused(name, kind)
        elif kind.startswith("TIMESTAMP"):
            far = _owners(rows[name], _is_far)
            if far and name in key:
                raise MutationRejected(
                    f"the key column {name} holds a timestamp after 294247-01-10 04:00:54.775806, for which DuckDB has "
                    "no value: change or delete that row in PostgreSQL first",
                    "duckdb",
                )
            for row in far:
                found.setdefault(row, {})[name] = _shown(rows[name][row])
            at = rows.column_names.index(name)
            rows = rows.set_column(at, rows.schema.field(at), _without_far(rows[name]))
    known = (
        rows[SPECIAL_COLUMNS]
        if SPECIAL_COLUMNS in rows.column_names
        else pa.chunked_array([pa.nulls(rows.num_rows, pa.string())])
    )
    if found:
        texts = known.to_pylist()
        for row, values in found.items():
            texts[row] = json.dumps({**json.loads(texts[row] or "{}"), **values})
        known = pa.chunked_array([pa.array(texts, pa.string())])
    if SPECIAL_COLUMNS in rows.column_names:
        return rows.set_column(rows.column_names.index(SPECIAL_COLUMNS), SPECIAL_COLUMNS, known)
    return rows.append_column(SPECIAL_COLUMNS, known)


def _owners(values: pa.ChunkedArray, is_special: Any) -> list[int]:
    """Return the indices of the rows whose value, or an item of it, is special."""
    if pa.types.is_list(values.type):
        owners, items = pc.list_parent_indices(values), pc.list_flatten(values)
        found = owners.filter(is_special(items)).to_numpy()
    else:
        found = np.flatnonzero(pc.fill_null(is_special(values), False).to_numpy())
    return [int(row) for row in np.unique(found)]


def _is_no_decimal(values: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.is_in(values, value_set=_NOT_DECIMAL)


def _fits(values: pa.ChunkedArray, width: int, scale: int) -> bool:
    """Return whether all numbers have at most `width - scale` digits before the point, and `scale` digits after it."""
    texts = (pc.list_flatten(values) if pa.types.is_list(values.type) else values).drop_null()
    points, lengths = pc.find_substring(texts, "."), pc.binary_length(texts)
    before = pc.if_else(pc.less(points, 0), lengths, points)
    after = pc.subtract(lengths, pc.add(before, 1))
    is_long = pc.or_(pc.greater(before, width - scale), pc.greater(after, scale))
    if not pc.any(is_long).as_py():
        return True
    for text in texts.filter(is_long).to_pylist():
        whole, _, fraction = text.lstrip("-").partition(".")
        is_finite = whole.isdecimal()
        if is_finite and (len(whole.lstrip("0")) > width - scale or len(fraction.rstrip("0")) > scale):
            return False
    return True


def _is_far(values: pa.ChunkedArray) -> pa.ChunkedArray:
    numbers = values.cast(pa.int64())
    return pc.and_(pc.greater_equal(numbers, FAR_US[0]), pc.less_equal(numbers, FAR_US[1]))


def _without_far(values: pa.ChunkedArray) -> pa.ChunkedArray:
    if not pa.types.is_list(values.type):
        is_far = _is_far(values)
        return pc.if_else(is_far, pa.scalar(None, values.type), values) if pc.any(is_far).as_py() else values
    return pa.chunked_array([_list_without_far(chunk) for chunk in values.chunks], values.type)


def _list_without_far(lists: pa.ListArray) -> pa.ListArray:
    items = lists.values
    is_far = _is_far(items)
    if not pc.any(is_far).as_py():
        return lists
    kept = pc.if_else(is_far, pa.scalar(None, items.type), items)
    # The offsets of a slice may begin after zero, but `values` is not sliced.
    mask = pc.is_null(lists) if lists.null_count else None
    return pa.ListArray.from_arrays(lists.offsets, kept, mask=mask)


def _shown(value: pa.Scalar) -> Any:
    if isinstance(value, pa.ListScalar):
        return [_shown(item) for item in value]
    if not value.is_valid:
        return None
    if not FAR_US[0] <= value.value <= FAR_US[1]:
        return value.cast(pa.string()).as_py()
    days, rest = divmod(value.value + _TURN_US, _DAY_US)
    clock = np.datetime64(rest, "us").astype(str).partition("T")[2]
    return f"+{np.datetime64(days, 'D')}T{clock}{'Z' if value.type.tz else ''}"
