"""Seeds that ended wrong once, and what was wrong then. They are run again by every check."""

from __future__ import annotations

from typing import NamedTuple


class Seed(NamedTuple):
    """A seed that met a fault of ours.

    Args:
        met: what it met, before it was mended.
    """

    model: str
    seed: int
    met: str


KEPT: tuple[Seed, ...] = ()
