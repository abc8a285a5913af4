"""JSON as PostgreSQL compares it: the order of keys, white space, and how a number is written do not count."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

LONGEST_SHOWN = 80
"""Characters of a value that are shown to an operator."""


class Malformed(ValueError):
    """A text is not JSON, or nested too deeply to be read."""


def parsed(text: str) -> Any:
    """Read JSON with every number as exact as it is written.

    Raises:
        Malformed: it is none.
    """
    try:
        return json.loads(text, parse_float=Decimal)
    except (ValueError, RecursionError) as error:
        raise Malformed(type(error).__name__) from error


def alike(one: Any, other: Any) -> bool:
    """Whether two values are the same; Python by itself takes `true` for 1."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(alike(value, other[name]) for name, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(alike, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def written(value: Any) -> str:
    """A value as JSON text, shortened for people."""
    # A decimal stands between characters that no text of PostgreSQL can hold, until its quotes are gone.
    text = json.dumps(value, ensure_ascii=False, default=lambda number: f"\0{number}\0")
    return shortened(text.replace('"\\u0000', "").replace('\\u0000"', ""))


def shortened(text: str) -> str:
    """A text, shortened for people."""
    return text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 1] + "…"
