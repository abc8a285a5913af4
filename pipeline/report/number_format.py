"""Number formats of a report."""

from __future__ import annotations

from decimal import Decimal

_UNITS = (("d", 86_400.0), ("h", 3_600.0), ("min", 60.0), ("s", 1.0), ("ms", 0.001))


def grouped(value: int | Decimal | None) -> str:
    """Format all digits of a number in groups of three; the sum of nothing but NaN is NULL."""
    if value is None:
        return "NULL"
    return f"{value:,f}" if isinstance(value, Decimal) else f"{value:,}"


def compact(value: float) -> str:
    """Format a round number in a few letters, such as 1.5k."""
    for letter, size in (("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


def duration(seconds: float) -> str:
    """Format a duration with three significant digits and a suitable unit."""
    for unit, length_s in _UNITS:
        if seconds >= length_s:
            return f"{seconds / length_s:.3g} {unit}"
    return "0 ms"


def shortened(text: str, longest: int = 30) -> str:
    """Shorten a text to fit a line on a phone."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def share(part: float, whole: float) -> str:
    """Format a part in percent of the whole."""
    return f"{100 * part / whole:.0f} %" if whole else "–"
