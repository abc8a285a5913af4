"""Documents that a store refused for what they are: it holds their place, and readers do not find them."""

from __future__ import annotations

from dataclasses import dataclass

MAX_NAMED = 20
"""Rejected documents that a store names; more are counted only."""

REMEDY = (
    "Make the document smaller or its value one that the store takes, in PostgreSQL: the next change of it is written. "
    "Where the store's own limit was raised instead, `readmodels verify {model} --repair --execute` writes it again."
)


@dataclass(frozen=True)
class Rejection:
    """One document that was refused.

    Args:
        document: the name of its kind, such as `orders`.
        reason: the store's, without any value of the document.
        at: when it was refused first since it was last accepted, in ISO 8601.
    """

    document: str
    key: str
    reason: str
    at: str


@dataclass(frozen=True)
class Rejections:
    """The rejected documents of a generation: how many, and the first of them."""

    count: int = 0
    first: tuple[Rejection, ...] = ()


NO_REJECTIONS = Rejections()
"""Of a store that accepts every document or stops the worker."""
