"""Decisions for a generator, read from one string of bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Choices:
    """A string of bytes, read one by one as decisions; past its end every decision is the first option.

    Hypothesis draws a string of bytes in one step, which makes thousands of histories cheap. It shrinks the string
    towards
    zeros, which makes counterexamples small if the first option means that nothing happens.
    """

    def __init__(self, drawn: bytes) -> None:
        self._drawn = iter(drawn)

    def below(self, limit: int) -> int:
        """Return a number from 0 to `limit` - 1; at most 256 numbers are possible."""
        return next(self._drawn, 0) % limit

    def of(self, options: Sequence[T]) -> T:
        """Return one of at most 256 options."""
        return options[self.below(len(options))]

    def rarely(self, one_in: int) -> bool:
        """Return True about once in `one_in` times, and never for the first option."""
        return self.below(one_in) == one_in - 1
