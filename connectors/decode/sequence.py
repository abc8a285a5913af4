"""LSNs of a change, parsed from the text of `source.sequence`.

Debezium writes the LSN of the last commit before the change, and the change's own: '["24023119","24023128"]', or
'[null,"24023128"]' before the first commit of a stream.
"""

import re

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

_PATTERN = r'^\[(?:null|"(?P<commit>\d{1,19})"),"(?P<own>\d{1,19})"\]$'
_BYTES = re.compile(_PATTERN.encode())

Octets = npt.NDArray[np.uint8]


def parse_lsns(sequences: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Return the last commit's LSN and the change's own, in bytes of WAL, as 64-bit integers; null if missing."""
    rows = _rows_of_one_width(sequences)
    read = None if rows is None else _read_alike(rows)
    if read is not None:
        return read
    parts = pc.extract_regex(sequences, _PATTERN)
    commit, own = pc.struct_field(parts, "commit"), pc.struct_field(parts, "own")
    return _numbers(pc.if_else(pc.equal(commit, ""), None, commit)), _numbers(own)


def _rows_of_one_width(texts: pa.Array) -> Octets | None:
    """Return texts of equal length as a matrix of bytes. LSNs that are close in the WAL have the same length."""
    if texts.null_count or len(texts) == 0:
        return None
    offsets = np.frombuffer(texts.buffers()[1], np.int32)[texts.offset : texts.offset + len(texts) + 1]
    width = int(offsets[1] - offsets[0])
    if (np.diff(offsets) != width).any():
        return None
    return np.frombuffer(texts.buffers()[2], np.uint8)[offsets[0] : offsets[-1]].reshape(len(texts), width)


def _read_alike(rows: Octets) -> tuple[pa.Array, pa.Array] | None:
    """Parse rows whose digits are at the same positions as in the first row; None if one differs."""
    match = _BYTES.match(rows[0].tobytes())
    if match is None:
        return None
    numbers = []
    punctuation = np.ones(rows.shape[1], bool)
    for start, end in (match.span("commit"), match.span("own")):
        digits = rows[:, max(start, 0) : end] - np.uint8(ord("0"))
        # Eighteen digits always fit into 64 bits.
        if (digits > 9).any() or end - start > 18:
            return None
        numbers.append(digits @ (10 ** np.arange(end - start, dtype=np.int64)[::-1]) if end > start else None)
        punctuation[max(start, 0) : end] = False
    if (rows[:, punctuation] != rows[0, punctuation]).any():
        return None
    commit, own = numbers
    return pa.nulls(len(rows), pa.int64()) if commit is None else pa.array(commit), pa.array(own)


def _numbers(digits: pa.Array) -> pa.Array:
    try:
        return digits.cast(pa.int64())
    except pa.ArrowInvalid:
        numbers = [None if text is None else int(text) for text in digits.to_pylist()]
        return pa.array([number if number is not None and number < 2**63 else None for number in numbers], pa.int64())
