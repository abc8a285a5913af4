"""Numbers as people read them."""

from __future__ import annotations

from decimal import Decimal

_UNITS = (("d", 86_400.0), ("h", 3_600.0), ("min", 60.0), ("s", 1.0), ("ms", 0.001))


def grouped(value: int | Decimal | None) -> str:
    """All of a number's digits, in groups of three; a sum of nothing but NaN is none."""
    if value is None:
        return "NULL"
    return f"{value:,f}" if isinstance(value, Decimal) else f"{value:,}"


def compact(value: float) -> str:
    """A round number in a few letters, as 1.5k."""
    for letter, size in (("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


def duration(seconds: float) -> str:
    """A time that something took, in two digits or three and the unit that suits it."""
    for unit, length_s in _UNITS:
        if seconds >= length_s:
            return f"{seconds / length_s:.3g} {unit}"
    return "0 ms"


def shortened(text: str, longest: int = 30) -> str:
    """A text that fits a line on a phone."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def share(part: float, whole: float) -> str:
    """A part in percent."""
    return f"{100 * part / whole:.0f} %" if whole else "–"
