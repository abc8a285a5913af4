"""Remedy for a new generation that differs from PostgreSQL."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterable

from pipeline.verify.difference import DifferenceKind

_OF_VALUES = frozenset({DifferenceKind.DIFFERENT, DifferenceKind.STALE})


def remedy_of_unequal(
    model: str, generation: int, kinds: Collection[DifferenceKind], doubtful: Iterable[str], described: Iterable[str]
) -> str:
    """Return the remedy that makes the model equal to PostgreSQL.

    A snapshot of a table sends the values that no event contained, and keeps the log. It sends no deletions. If the log
    lacks a deletion, the model must be rebuilt from PostgreSQL.

    Args:
        kinds: kinds of the differences that were found.
        doubtful: tables for which the log lacks values, according to the plan.
        described: all tables of the model.
    """
    tables = dict.fromkeys(doubtful) or (dict.fromkeys(described) if _OF_VALUES.issuperset(kinds) else {})
    if tables:
        snapshots = ", ".join(f"`readmodels snapshot {shlex.quote(table)} --execute`" for table in tables)
        return f"Take a snapshot of the rows: {snapshots}. Then run `readmodels replay {model} --execute`."
    return (
        f"`readmodels verify {model} --generation {generation}` lists the differences. `readmodels replay {model} "
        "--snapshot --execute` rebuilds from PostgreSQL instead, without the history of the log."
    )
