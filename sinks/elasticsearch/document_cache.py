"""Cache of a worker's documents, which saves reading them again."""

from __future__ import annotations

import msgspec

_OVERHEAD_BYTES = 300
"""Memory of one entry beside its source: its objects, and its slot in the dictionary."""


class VersionedSource(msgspec.Struct, frozen=True, gc=False):
    """`_source` of a document, with the pair of numbers by which Elasticsearch detects changes.

    The cyclic garbage collector ignores instances: with hundreds of thousands of them, it took a fifth of the worker's
    time.
    """

    source: bytes
    seq_no: int
    primary_term: int


class DocumentCache:
    """Cache of the documents read or written last. A stale entry is harmless: it only causes a conflict.

    Args:
        limit_bytes: the size above which the oldest entries are removed.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._size_bytes = 0
        self._held: dict[str, VersionedSource] = {}

    def get(self, id_: str) -> VersionedSource | None:
        """Return the cached version of a document, or None."""
        return self._held.get(id_)

    def put(self, id_: str, stored: VersionedSource) -> None:
        """Store a document as the most recent entry."""
        self.forget(id_)
        self._held[id_] = stored
        self._size_bytes += len(stored.source) + _OVERHEAD_BYTES
        while self._size_bytes > self._limit_bytes:
            self.forget(next(iter(self._held)))

    def forget(self, id_: str) -> None:
        """Remove a document."""
        stored = self._held.pop(id_, None)
        if stored is not None:
            self._size_bytes -= len(stored.source) + _OVERHEAD_BYTES

    def clear(self) -> None:
        """Remove all documents."""
        self._held.clear()
        self._size_bytes = 0
