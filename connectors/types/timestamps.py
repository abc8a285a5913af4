"""Timestamps as 64-bit microseconds since 1970, including timestamps beyond that range.

PostgreSQL's last timestamp, at the end of the year 294276, is about 30 years beyond the range. Its first, in 4714 BC,
is far above the lowest number. So a timestamp beyond the range is stored 2**64 lower, plus one second. The second
separates it from the numbers of the infinities.
"""

from connectors.types.pg_types import TIMESTAMP_INFINITY

TURN = 2**64
_GAP_US = 1_000_000
LATEST_US = 9_224_318_015_999_999_999
"""PostgreSQL's last timestamp, at the end of the year 294276."""

EARLIEST_US = -210_866_803_200_000_000
"""PostgreSQL's first timestamp, in 4714 BC."""

SHIFT_US = TURN - _GAP_US
"""Difference between a timestamp beyond the range and its stored number."""

FAR_US = (TIMESTAMP_INFINITY - SHIFT_US, LATEST_US - SHIFT_US)
"""Lowest and highest number that represents a timestamp beyond the range."""


def stored_us(us: int) -> int:
    """Convert microseconds since 1970 to the stored number."""
    return us if us < TIMESTAMP_INFINITY else us - SHIFT_US


def is_far(stored: int) -> bool:
    """Return whether a stored number represents a timestamp beyond the range."""
    return FAR_US[0] <= stored <= FAR_US[1]


def us_of(stored: int) -> int:
    """Convert a stored number, which must not represent an infinity, to microseconds since 1970."""
    return stored + SHIFT_US if is_far(stored) else stored
