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


KEPT = (
    Seed("redis", 31, "a sweep that met a repaired row first was beaten by a change from before its snapshot"),
    Seed("elasticsearch", 9, "after a copy was restored, memory said that nothing had to be written"),
)
