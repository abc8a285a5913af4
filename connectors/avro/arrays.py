"""Avro arrays, read over all records at once.

An array is a series of blocks, each preceded by its item count, with an empty block at the end. A negative count is
followed by the block's size in bytes.
"""

from collections.abc import Callable
from typing import TypeVar

import numpy as np
import pyarrow as pa

from connectors.avro.cursor import SCHEMA_MISMATCH, Column, Cursor, FieldReader, ListColumn, NotColumnar
from connectors.avro.primitives import Ints

MAX_ITEMS = 1_000
"""Maximum item count. Beyond it, reading the records one by one is faster."""

_Item = TypeVar("_Item")


class ArrayReader:
    """Reader of the first items of all arrays at once, then of the second ones, and so on."""

    def __init__(self, item: FieldReader) -> None:
        self._item = item

    def read(self, cursor: Cursor) -> Column:
        """Read all items, and sort them by record."""
        counts, items, owners = self._walk(cursor, self._item.read)
        if not items:
            nothing = self._item.read(cursor.select(np.zeros(0, np.int64)))
            return ListColumn(counts, nothing.arrow())
        ordered = pa.concat_arrays([column.arrow() for column in items]).take(
            pa.array(np.argsort(np.concatenate(owners), kind="stable"))
        )
        return ListColumn(counts, ordered)

    def skip(self, cursor: Cursor) -> None:
        """Skip all items."""
        self._walk(cursor, self._item.skip)

    def _walk(self, cursor: Cursor, step: Callable[[Cursor], _Item]) -> tuple[Ints, list[_Item], list[Ints]]:
        counts = np.zeros(len(cursor), np.int64)
        left = np.zeros(len(cursor), np.int64)
        unfinished = np.arange(len(cursor))
        items: list[_Item] = []
        owners: list[Ints] = []
        while len(unfinished):
            if len(items) == MAX_ITEMS:
                raise NotColumnar(f"an array of more than {MAX_ITEMS} items")
            heads = unfinished[left[unfinished] == 0]
            if len(heads):
                left[heads] = self._block(cursor, heads)
                unfinished = unfinished[left[unfinished] > 0]
            if len(unfinished):
                part = cursor.select(unfinished)
                items.append(step(part))
                owners.append(unfinished)
                cursor.merge(part, unfinished)
                counts[unfinished] += 1
                left[unfinished] -= 1
        return counts, items, owners

    @staticmethod
    def _block(cursor: Cursor, heads: Ints) -> Ints:
        """Return the item count of the next block of each of these arrays; zero after the last block."""
        part = cursor.select(heads)
        lengths = part.longs()
        sized = np.flatnonzero(lengths < 0)
        if len(sized):
            sizes = part.select(sized)
            sizes.longs()
            part.merge(sizes, sized)
        lengths = np.abs(lengths)
        outside = (lengths < 0) | (lengths > part.end - part.at)
        if outside.any():
            part.fail(outside, SCHEMA_MISMATCH)
            lengths = np.where(outside, 0, lengths)
        cursor.merge(part, heads)
        return lengths
