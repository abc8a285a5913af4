"""Rejected documents: a store refused their content, replaced them, and hides the replacement from readers."""

from __future__ import annotations

from dataclasses import dataclass

MAX_NAMED = 20
"""Maximum number of rejected documents that a store lists. Further ones are only counted."""

REMEDY = (
    "In PostgreSQL, make the document smaller or change the value: its next change is written. If you raised the limit "
    "of the store instead, run `readmodels verify {model} --repair --execute`: it writes the document again."
)


@dataclass(frozen=True)
class Rejection:
    """One rejected document.

    Args:
        document: the name of its type, such as `orders`.
        reason: the store's reason, without any value of the document.
        at: the time of the first rejection since it was last accepted, in ISO 8601.
    """

    document: str
    key: str
    reason: str
    at: str


@dataclass(frozen=True)
class Rejections:
    """Rejected documents of a generation: their number, and the first of them."""

    count: int = 0
    first: tuple[Rejection, ...] = ()


NO_REJECTIONS = Rejections()
"""Result of a store that either accepts every document or stops the worker."""
