"""Limits for readers of DuckDB, who share the process of the writer."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ReaderLimits:
    """Limits of readers' queries.

    Args:
        max_query_bytes: the length of a query's text. Parsing one of this length takes at most one second of one core.
        max_result_bytes: the size of one query's result.
        max_readers: the number of concurrent requests; further ones wait.
        memory_headroom: the memory that the worker's process may use beyond DuckDB's own limit, such as `2GB`; a query
            that needs more fails.
        max_spill: the disk space that all queries together may use for data that exceeds memory, such as `4GB`.
    """

    max_query_bytes: int = 200_000
    max_result_bytes: int = 16 * 2**30
    max_readers: int = 32
    memory_headroom: str = "2GB"
    max_spill: str = "4GB"


DEFAULT_LIMITS = ReaderLimits()
