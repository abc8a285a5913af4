"""Timestamps as 64 bits of microseconds since 1970, those beyond that range included.

PostgreSQL's last timestamp, at the end of the year 294276, is some 30 years beyond. Its first lies in 4714 BC, far
above the lowest number. So a later timestamp is kept 2**64 lower, and a second is added, which keeps it apart from the
numbers that stand for the infinities.
"""

from connectors.types.pg_types import TIMESTAMP_INFINITY

TURN = 2**64
_GAP_US = 1_000_000
LATEST_US = 9_224_318_015_999_999_999
"""PostgreSQL's last timestamp, at the end of the year 294276."""

EARLIEST_US = -210_866_803_200_000_000
"""Its first, in 4714 BC."""

SHIFT_US = TURN - _GAP_US
"""How much lower a timestamp beyond the range is kept."""

FAR_US = (TIMESTAMP_INFINITY - SHIFT_US, LATEST_US - SHIFT_US)
"""The lowest and the highest number that stands for a timestamp beyond the range."""


def stored_us(us: int) -> int:
    """Convert microseconds since 1970 to the number that is kept."""
    return us if us < TIMESTAMP_INFINITY else us - SHIFT_US


def is_far(stored: int) -> bool:
    """Whether a number stands for a timestamp beyond the range."""
    return FAR_US[0] <= stored <= FAR_US[1]


def us_of(stored: int) -> int:
    """Convert a number that is kept, and stands for no infinity, back to microseconds since 1970."""
    return stored + SHIFT_US if is_far(stored) else stored
