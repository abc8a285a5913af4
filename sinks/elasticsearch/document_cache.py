"""What a worker last saw of the documents that it writes, so that it need not read them again."""

from __future__ import annotations

import msgspec

_OVERHEAD_BYTES = 300
"""What one entry takes beside its source: its objects, and its place in the dictionary."""


class VersionedSource(msgspec.Struct, frozen=True, gc=False):
    """A document's `_source`, and the pair by which Elasticsearch tells whether it has changed since.

    Unseen by the garbage collector: with hundreds of thousands of them it took a fifth of the worker's time.
    """

    source: bytes
    seq_no: int
    primary_term: int


class DocumentCache:
    """The documents seen last, up to a limit. Nothing rests on it: a stale entry only meets a conflict.

    Args:
        limit_bytes: above it, what was seen longest ago is forgotten.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._size_bytes = 0
        self._held: dict[str, VersionedSource] = {}

    def get(self, id_: str) -> VersionedSource | None:
        """What was last seen of a document."""
        return self._held.get(id_)

    def put(self, id_: str, stored: VersionedSource) -> None:
        """Remember a document as the one seen last."""
        self.forget(id_)
        self._held[id_] = stored
        self._size_bytes += len(stored.source) + _OVERHEAD_BYTES
        while self._size_bytes > self._limit_bytes:
            self.forget(next(iter(self._held)))

    def forget(self, id_: str) -> None:
        """Drop what is known of a document."""
        stored = self._held.pop(id_, None)
        if stored is not None:
            self._size_bytes -= len(stored.source) + _OVERHEAD_BYTES

    def clear(self) -> None:
        """Drop everything."""
        self._held.clear()
        self._size_bytes = 0
