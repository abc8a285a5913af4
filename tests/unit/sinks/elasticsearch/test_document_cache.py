"""Tests that the document cache stays within its limit, and evicts the least recently used entries."""

from __future__ import annotations

from sinks.elasticsearch.document_cache import DocumentCache, VersionedSource


def stored(size_bytes: int, seq_no: int = 0) -> VersionedSource:
    return VersionedSource(b"x" * size_bytes, seq_no, 1)


def test_the_least_recently_stored_document_is_evicted_first() -> None:
    memory = DocumentCache(limit_bytes=4000)
    for name in ("a", "b", "a", "c"):
        memory.put(name, stored(1000))
    assert memory.get("b") is not None
    memory.put("d", stored(1000))
    assert [name for name in "abcd" if memory.get(name)] == ["a", "c", "d"]


def test_a_document_larger_than_the_limit_is_not_kept() -> None:
    memory = DocumentCache(limit_bytes=4000)
    memory.put("a", stored(5000))
    assert memory.get("a") is None
    memory.put("b", stored(3000))
    assert memory.get("b") is not None


def test_the_latest_version_is_the_one_remembered() -> None:
    memory = DocumentCache(limit_bytes=4000)
    memory.put("a", stored(10, seq_no=1))
    memory.put("a", stored(10, seq_no=2))
    assert memory.get("a") == stored(10, seq_no=2)
    memory.forget("a")
    memory.forget("a")
    assert memory.get("a") is None


def test_after_clearing_nothing_is_known_and_everything_fits_again() -> None:
    memory = DocumentCache(limit_bytes=4000)
    memory.put("a", stored(3000))
    memory.clear()
    assert memory.get("a") is None
    memory.put("b", stored(3000))
    assert memory.get("b") is not None
