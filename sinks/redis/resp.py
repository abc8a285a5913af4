"""Batches in the Redis protocol, built by column: no Python code runs per change.

Source: https://redis.io/docs/latest/develop/reference/protocol-spec/
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sinks.errors import MutationRejected
from sinks.ordering.version_text import FIELDS, HIGHEST_OFFSET, VERSION_LENGTH

Ends = npt.NDArray[np.int64]
"""End of each of many pieces, after a leading zero."""

_HEXADECIMAL = np.frombuffer(b"".join(b"%02x" % byte for byte in range(256)), dtype=np.uint16)
_BINARY = pa.large_binary()


@dataclass(frozen=True)
class EncodedArgs:
    """Encoded arguments of a command: their count and their bytes."""

    count: int
    data: bytes | memoryview


def encode_args(*values: str | bytes | int) -> EncodedArgs:
    """Encode a few arguments."""
    texts = [value if isinstance(value, bytes) else str(value).encode() for value in values]
    return EncodedArgs(len(texts), b"".join(b"$%d\r\n%b\r\n" % (len(text), text) for text in texts))


@dataclass(frozen=True)
class EncodedDocuments:
    """Changes grouped by document, encoded as the keys and arguments of `lua/merge.lua`."""

    keys: memoryview
    keys_end: Ends
    changes: memoryview
    changes_end: Ends
    arguments_end: Ends

    def __len__(self) -> int:
        return len(self.keys_end) - 1

    def keys_of(self, first: int, end: int) -> EncodedArgs:
        """Return the keys of a range of documents: two per document."""
        return EncodedArgs(2 * (end - first), self.keys[self.keys_end[first] : self.keys_end[end]])

    def changes_of(self, first: int, end: int) -> EncodedArgs:
        """Return the arguments of a range of documents."""
        count = int(self.arguments_end[end] - self.arguments_end[first])
        return EncodedArgs(count, self.changes[self.changes_end[first] : self.changes_end[end]])

    def chunk_end(self, first: int, most: int, most_bytes: int) -> int:
        """Return the end of a range from `first` that meets both limits, but has at least one document."""
        by_size = int(np.searchsorted(self.changes_end, self.changes_end[first] + most_bytes, side="right")) - 1
        return max(first + 1, min(first + most, by_size, len(self)))


def encode_documents(prefix: str, changes: pa.Table) -> EncodedDocuments:
    """Encode folded changes of a document's parts.

    Args:
        prefix: the prefix of the documents' keys.
        changes: the columns of `sinks.ordering.columns.ORDER_COLUMNS` and `sinks.batch.PART_COLUMNS`.

    Raises:
        MutationRejected: a change that is not a deletion has no image.
    """
    of = pc.dictionary_encode(changes["key"].combine_chunks())
    code = of.indices.to_numpy()
    grouped = changes.take(np.argsort(code, kind="stable")).combine_chunks()
    counts = np.bincount(code, minlength=len(of.dictionary))
    changes_end = _ends(counts)
    key = _text(prefix, of.dictionary.cast(_BINARY))
    keys, keys_end = _bytes_of(_text(*_bulk(key), *_bulk(_text("{", key, "}:r"))))
    lines, lines_end = _bytes_of(
        _text(_counts_before(changes_end, counts), *_bulk(_column(grouped, "part")), *_bulk(_registers(grouped)))
    )
    return EncodedDocuments(keys, keys_end, lines, lines_end[changes_end], _ends(1 + 2 * counts))


def encode_versions(changes: pa.Table) -> pa.Array:
    """Encode the order of every change, as `sinks.ordering.version_text.encode_version` does for one."""
    text = np.empty((changes.num_rows, VERSION_LENGTH), dtype=np.uint8)
    for name, place in FIELDS.items():
        numbers = changes[f"_{name}"].to_numpy()
        if name == "offset":
            numbers = np.uint64(HIGHEST_OFFSET) - numbers.astype(np.uint64)
        text[:, place] = _hexadecimal(numbers, place.stop - place.start)
    text[:, -1] = np.where(changes["_deleted"].to_numpy(), ord("d"), ord("i"))
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(VERSION_LENGTH), len(text), [None, pa.py_buffer(text)])


def _registers(changes: pa.Table) -> pa.Array:
    """Encode every change as a register with only this change (`lua/register.lua`)."""
    side = pc.if_else(changes["_is_snapshot"].combine_chunks(), b"r", b"s").cast(_BINARY)
    image = pc.if_else(_column(changes, "_deleted"), pa.scalar(b"", _BINARY), _column(changes, "image"))
    return _text(side, encode_versions(changes).cast(_BINARY), image)


def _counts_before(changes_end: Ends, counts: npt.NDArray[np.int64]) -> pa.Array:
    """Return the change count of a document as an argument before its first change, and nothing before the others."""
    lines = pa.concat_arrays([_text(*_bulk(_digits(counts))), pa.array([b""], _BINARY)])
    place = np.full(changes_end[-1], len(counts))
    place[changes_end[:-1]] = np.arange(len(counts))
    return lines.take(pa.array(place))


def _bulk(texts: pa.Array) -> tuple[str | pa.Array, ...]:
    """Return the pieces of an argument in the protocol: its length in bytes, and its text."""
    return "$", _digits(pc.binary_length(texts)), "\r\n", texts, "\r\n"


def _text(*pieces: str | pa.Array) -> pa.Array:
    """Concatenate columns and constants."""
    columns = [pa.scalar(piece.encode(), _BINARY) if isinstance(piece, str) else piece for piece in pieces]
    return pc.binary_join_element_wise(*columns, pa.scalar(b"", _BINARY))


def _digits(numbers: Any) -> pa.Array:
    return pa.array(numbers).cast(pa.string()).cast(_BINARY)


def _column(changes: pa.Table, name: str) -> pa.Array:
    column = changes[name].combine_chunks()
    return column if pa.types.is_boolean(column.type) else column.cast(_BINARY)


def _hexadecimal(numbers: npt.NDArray[Any], digits: int) -> npt.NDArray[np.uint8]:
    """Return the last 1, 8 or 16 hexadecimal digits of unsigned numbers, the highest digit first."""
    width = max(1, digits // 2)
    octets = np.ascontiguousarray(numbers.astype(f">u{width}")).view(np.uint8)
    return _HEXADECIMAL[octets.reshape(len(numbers), width)].view(np.uint8)[:, -digits:]


def _ends(counts: npt.NDArray[np.int64]) -> Ends:
    return np.concatenate(([0], np.cumsum(counts)))


def _bytes_of(texts: pa.Array) -> tuple[memoryview, Ends]:
    """Return all texts as one buffer, and the end of each."""
    if texts.null_count:
        raise MutationRejected("a change that is no deletion has no image")
    _, offsets, data = texts.buffers()
    ends: Ends = np.frombuffer(offsets, dtype=np.int64)[texts.offset : texts.offset + len(texts) + 1]
    return memoryview(data), ends
