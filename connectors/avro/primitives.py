"""Primitive types of Avro, read at many positions of one buffer at once.

Source: https://avro.apache.org/docs/1.12.0/specification/#binary-encoding
"""

import sys
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Words = npt.NDArray[np.uint64]

PADDING_BYTES = 16
"""Bytes that a read may extend past the last byte."""

if sys.byteorder != "little":
    raise ImportError("words are read as they lie in memory, which takes a little-endian machine")

_EACH_STOP_BIT = np.uint64(0x8080808080808080)
_EACH_OTHER_BIT = np.uint64(0x7F7F7F7F7F7F7F7F)

# Seven bits of each byte are joined in three steps: pairs of bytes, pairs of these, and the two halves.
_JOINS = [
    (np.uint64(0x007F007F007F007F), np.uint64(0x7F007F007F007F00), np.uint64(1)),
    (np.uint64(0x00003FFF00003FFF), np.uint64(0x3FFF00003FFF0000), np.uint64(2)),
    (np.uint64(0x000000000FFFFFFF), np.uint64(0x0FFFFFFF00000000), np.uint64(4)),
]

_INLINE_BYTES = 12
"""Arrow views store a string of up to this many bytes inline."""

_LOW_BYTES: Words = np.array([(1 << 8 * count) - 1 for count in range(9)], np.uint64)


class AvroBuffer:
    """Buffer whose last PADDING_BYTES belong to no value."""

    def __init__(self, buffer: pa.Buffer) -> None:
        self._buffer = buffer
        self._bytes = np.frombuffer(buffer, np.uint8)
        self._words = self._at_any_byte("<u8")

    def _at_any_byte(self, kind: str) -> npt.NDArray[Any]:
        width = np.dtype(kind).itemsize
        return np.ndarray((len(self._bytes) - width + 1,), kind, self._buffer, strides=(1,))

    def booleans(self, at: Ints) -> npt.NDArray[np.uint8]:
        """Return the byte at each position: 0 or 1 for a boolean."""
        return self._bytes[at]

    def floats(self, at: Ints, kind: str) -> npt.NDArray[Any]:
        """Return the `<f4` or `<f8` at each position."""
        return self._at_any_byte(kind)[at]

    def longs(self, at: Ints) -> tuple[Ints, Ints]:
        """Return the int or long at each position, and the position after it."""
        first = self._bytes[at]
        if not (first & 0x80).any():
            return ((first >> 1) ^ -(first & 1)).view(np.int8).astype(np.int64), at + 1
        words = self._words[at]
        stops = ~words & _EACH_STOP_BIT
        # From the lowest bit up to the first stop bit; all 64 bits if eight bytes have no stop bit.
        used = stops ^ (stops - np.uint64(1))
        lengths = np.bitwise_count(used) >> 3
        bits = words & used & _EACH_OTHER_BIT
        for low, high, shift in _JOINS:
            bits = (bits & low) | ((bits & high) >> shift)
        after = at + lengths
        longer = np.flatnonzero(stops == 0)
        if len(longer):
            bits[longer], after[longer] = self._beyond_eight_bytes(bits[longer], at[longer] + 8)
        return (bits >> np.uint64(1)).view(np.int64) ^ -(bits & np.uint64(1)).view(np.int64), after

    def _beyond_eight_bytes(self, bits: Words, at: Ints) -> tuple[Words, Ints]:
        ninth = self._bytes[at].astype(np.uint64)
        tenth = np.where(ninth & np.uint64(0x80), self._bytes[at + 1], np.uint8(0)).astype(np.uint64)
        bits = bits | (ninth & np.uint64(0x7F)) << np.uint64(56) | (tenth & np.uint64(1)) << np.uint64(63)
        return bits, at + 1 + (ninth >> np.uint64(7)).astype(np.int64)

    def texts(self, starts: Ints, lengths: Ints, valid: Mask | None) -> pa.Array:
        """Return the byte strings at these positions, as views into the buffer; null if not valid.

        Source: https://arrow.apache.org/docs/format/Columnar.html#variable-size-binary-view-layout
        """
        short = lengths <= _INLINE_BYTES
        if short.all():
            views = self._inline(starts, lengths)
        else:
            views = np.empty((len(starts), 2), np.uint64)
            views[:, 0] = self._words[starts] << np.uint64(32) | lengths.view(np.uint64)
            views[:, 1] = starts.view(np.uint64) << np.uint64(32)
            if short.any():
                views[short] = self._inline(starts[short], lengths[short])
        bitmap = None if valid is None else pa.py_buffer(np.packbits(valid, bitorder="little"))
        return pa.Array.from_buffers(pa.binary_view(), len(starts), [bitmap, pa.py_buffer(views), self._buffer])

    def _inline(self, starts: Ints, lengths: Ints) -> Words:
        views = np.empty((len(starts), 2), np.uint64)
        head = self._words[starts] & _LOW_BYTES[np.minimum(lengths, 4)]
        views[:, 0] = head << np.uint64(32) | lengths.view(np.uint64)
        views[:, 1] = self._words[starts + 4] & _LOW_BYTES[np.maximum(lengths - 4, 0)]
        return views
