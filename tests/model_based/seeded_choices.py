"""Decisions for a generator, read from one string of bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Choices:
    """Bytes read one by one as decisions; past their end every decision is the first option.

    Hypothesis draws a string of bytes in one go, which makes thousands of histories cheap, and shrinks it towards
    zeros, which makes counterexamples small where the first option means that nothing happens.
    """

    def __init__(self, drawn: bytes) -> None:
        self._drawn = iter(drawn)

    def below(self, limit: int) -> int:
        """A number from 0 to `limit` - 1; at most 256 numbers are possible."""
        return next(self._drawn, 0) % limit

    def of(self, options: Sequence[T]) -> T:
        """One of at most 256 options."""
        return options[self.below(len(options))]

    def rarely(self, one_in: int) -> bool:
        """True about once in so many times, of which the first option never is."""
        return self.below(one_in) == one_in - 1
