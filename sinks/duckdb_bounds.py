"""Bounds of what readers of DuckDB take from the process that writes it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """Limits of readers' queries.

    Args:
        max_query_bytes: the length of a query's text. Parsing one of this length takes a second of one core at most.
        max_spill: the disk that all queries together take for what memory does not hold, as `4GB`.
    """

    max_query_bytes: int = 200_000
    max_spill: str = "4GB"


BOUNDS = Bounds()
