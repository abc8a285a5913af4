"""Text of fixed width for the order of a change, for stores that compare strings.

Texts are used because a store's scripts may have only doubles as numbers, which cannot distinguish neighbouring LSNs.
Of two changes of the same side, the higher one in `sinks.ordering.register` is the greater string.
"""

from __future__ import annotations

from itertools import accumulate

from sinks.ordering.register import Change

HIGHEST_OFFSET = 2**63 - 1
"""Number from which offsets are subtracted, because the lower one of two offsets is the higher change."""

_DIGITS = {"epoch": 8, "commit_lsn": 16, "lsn": 16, "tie": 1, "offset": 16, "partition": 8}

_ENDS = dict(zip(_DIGITS, accumulate(_DIGITS.values()), strict=True))

FIELDS = {name: slice(_ENDS[name] - digits, _ENDS[name]) for name, digits in _DIGITS.items()}
"""Position of every field of a change, in hexadecimal digits. The offset is inverted."""

ORDER_LENGTH = FIELDS["offset"].stop
"""Characters that are compared. The partition follows, then `d` for a deletion or `i` for an image."""

VERSION_LENGTH = FIELDS["partition"].stop + 1

_EPOCH, _COMMIT_LSN, _LSN, _TIE, _OFFSET, _PARTITION = FIELDS.values()
_FORMAT = "".join(f"{{:0{digits}x}}" for digits in _DIGITS.values()) + "{}"


def encode_version(change: Change) -> str:
    """Encode a change without its image."""
    epoch, commit_lsn, lsn, tie, offset, partition, deleted, _ = change
    return _FORMAT.format(epoch, commit_lsn, lsn, tie, HIGHEST_OFFSET - offset, partition, "d" if deleted else "i")


def decode_version(text: str, image: object) -> Change:
    """Decode the output of `encode_version`, and add the image."""
    # The arguments are positional: this call dominates the reading of documents, and keywords would double its cost.
    return Change(
        int(text[_EPOCH], 16),
        int(text[_COMMIT_LSN], 16),
        int(text[_LSN], 16),
        int(text[_TIE], 16),
        HIGHEST_OFFSET - int(text[_OFFSET], 16),
        int(text[_PARTITION], 16),
        text[-1] == "d",
        image,
    )
