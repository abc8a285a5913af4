"""Bounds of what readers of DuckDB take from the process that writes it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ReaderLimits:
    """Limits of readers' queries.

    Args:
        max_query_bytes: the length of a query's text. Parsing one of this length takes a second of one core at most.
        max_result_bytes: what one query may send.
        max_readers: the requests that are carried out at a time; more of them wait.
        memory_headroom: the memory that the worker's process may take beyond DuckDB's own limit, as `2GB`; a query
            that needs more fails.
        max_spill: the disk that all queries together take for what memory does not hold, as `4GB`.
    """

    max_query_bytes: int = 200_000
    max_result_bytes: int = 16 * 2**30
    max_readers: int = 32
    memory_headroom: str = "2GB"
    max_spill: str = "4GB"


DEFAULT_LIMITS = ReaderLimits()
