"""Invented values: values that Debezium sends for columns of an old row that PostgreSQL did not log.

Without REPLICA IDENTITY FULL, the old row of a deletion has only the columns of the identity. For the others, Debezium
3.6.1 sends NULL or, if they are NOT NULL, their default or the zero of their type.
"""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal
from functools import reduce

import pyarrow as pa
import pyarrow.compute as pc

_ZERO_TEXT = r"^[0PYMDTHSZ:.+\- ]*$"
"""Such as an empty text, `0.00`, `P0Y0M0DT0H0M0S`, `00:00:00Z`, and a UUID of zeros."""


def lacks_old_row(
    envelopes: pa.Table, key: Collection[str], others: Collection[str], with_default: Collection[str]
) -> pa.Array:
    """Find the deletions whose old row may have only the columns of a replica identity.

    Args:
        envelopes: the decoded envelopes.
        key: the columns of the primary key. They are invented if another index is the identity.
        others: the other columns.
        with_default: columns of which any value may be invented.

    Returns:
        A boolean per envelope. It may also be true for a complete row that has only zeros and NULLs.
    """
    before = envelopes["before"].combine_chunks()
    lacking = _are_zero(before, key)
    if others:
        lacking = pc.or_(lacking, _are_zero(before, [name for name in others if name not in with_default]))
    return pc.and_(pc.equal(envelopes["op"].combine_chunks(), "d"), lacking)


def _are_zero(before: pa.StructArray, names: Collection[str]) -> pa.Array:
    # Fields are selected by index, because Arrow interprets some names as paths.
    values = [pc.struct_field(before, [before.type.get_field_index(name)]) for name in names]
    return reduce(pc.and_, map(_may_be_invented, values), pa.repeat(True, len(before)))


def _may_be_invented(values: pa.Array) -> pa.Array:
    return pc.fill_null(_is_zero(values), True)


def _is_zero(values: pa.Array) -> pa.Array:
    kind = values.type
    if pa.types.is_string(kind):
        return pc.match_substring_regex(values, _ZERO_TEXT)
    if pa.types.is_binary(kind):
        return pc.equal(pc.binary_length(values), 0)
    if pa.types.is_list(kind):
        return pc.equal(pc.list_value_length(values), 0)
    if pa.types.is_decimal(kind):
        return pc.equal(values, pa.scalar(Decimal(0), kind))
    if pa.types.is_boolean(kind):
        return pc.invert(values)
    return pc.equal(values, pa.scalar(0, kind))
