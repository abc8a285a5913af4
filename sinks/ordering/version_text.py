"""Text of fixed width for the order of a change, for stores that compare strings.

Texts are used because a store's scripts may have only doubles as numbers, which cannot distinguish neighbouring LSNs.
Of two changes of the same side, the higher one in `sinks.ordering.register` is the greater string.
"""

from __future__ import annotations

from sinks.ordering.register import Change

_HIGHEST_OFFSET = 2**63 - 1
ORDER_LENGTH = 57
"""Compared characters: epoch 8, commit LSN 16, LSN 16, tie-break 1, inverted offset 16."""


def encode_version(change: Change) -> str:
    """Encode a change without its image: its order, its partition, and `d` for a deletion or `i` for an image."""
    order = f"{change.epoch:08x}{change.commit_lsn:016x}{change.lsn:016x}{change.tie:x}"
    flag = "d" if change.deleted else "i"
    return f"{order}{_HIGHEST_OFFSET - change.offset:016x}{change.partition:08x}{flag}"


def decode_version(text: str, image: object) -> Change:
    """Decode the output of `encode_version`, and add the image."""
    # The arguments are positional: this call dominates the reading of documents, and keywords would double its cost.
    return Change(
        int(text[:8], 16),
        int(text[8:24], 16),
        int(text[24:40], 16),
        int(text[40], 16),
        _HIGHEST_OFFSET - int(text[41:57], 16),
        int(text[57:65], 16),
        text[65] == "d",
        image,
    )
