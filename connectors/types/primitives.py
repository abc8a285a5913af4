"""Readers of single values, which check the type that the wire form promises."""

import base64
import binascii
from collections.abc import Callable
from typing import Any

from connectors.errors import UnreadableRecord

Reader = Callable[[Any], Any]
"""Function from a non-null value to an item of its Arrow array; raises UnreadableRecord."""


def instance_of(expected: type) -> Reader:
    """Return a reader that checks the type of a value and returns it unchanged."""

    def read(value: Any) -> Any:
        if not isinstance(value, expected):
            raise UnreadableRecord(f"not a {expected.__name__}")
        return value

    return read


string = instance_of(str)


def base64_bytes(value: Any) -> bytes:
    """Decode the bytes that a JSON document contains as base64."""
    try:
        return base64.b64decode(string(value), validate=True)
    except (binascii.Error, ValueError) as error:
        raise UnreadableRecord("not base64") from error


def floating(value: Any) -> float:
    """Read a float. JSON has no literals for NaN and infinities, so these are sent as text."""
    if isinstance(value, str) and value in ("NaN", "Infinity", "-Infinity"):
        return float(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    raise UnreadableRecord("not a floating-point number")


def integer(bits: int) -> Reader:
    """Return a reader of signed integers of this number of bits."""
    limit = 1 << (bits - 1)

    def read(value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not -limit <= value < limit:
            raise UnreadableRecord(f"not an integer of {bits} bits")
        return int(value)

    return read
