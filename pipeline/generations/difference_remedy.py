"""The remedy for a new generation that the comparison with PostgreSQL found to differ."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterable

from pipeline.verify.difference import DifferenceKind

_OF_VALUES = frozenset({DifferenceKind.DIFFERENT, DifferenceKind.STALE})


def remedy_of_unequal(
    model: str, generation: int, kinds: Collection[DifferenceKind], doubtful: Iterable[str], described: Iterable[str]
) -> str:
    """Say how the model becomes equal to PostgreSQL.

    A snapshot of a table sends the values that no event told, and keeps the log. It tells of no deletion; if the log
    lacks one, only PostgreSQL itself can take the log's place.

    Args:
        kinds: of the differences that were found.
        doubtful: the tables of which the log lacks values, as the plan found.
        described: all tables of the model.
    """
    tables = dict.fromkeys(doubtful) or (dict.fromkeys(described) if _OF_VALUES.issuperset(kinds) else {})
    if tables:
        snapshots = ", ".join(f"`readmodels snapshot {shlex.quote(table)} --execute`" for table in tables)
        return f"Have the rows sent again: {snapshots}. Then run `readmodels replay {model} --execute`."
    return (
        f"`readmodels verify {model} --generation {generation}` names what differs. `readmodels replay {model} "
        "--snapshot --execute` rebuilds from PostgreSQL instead, without the history of the log."
    )
