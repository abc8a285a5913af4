"""Single values as they come off the wire, held to the type that their form promises."""

import base64
import binascii
from collections.abc import Callable
from typing import Any

from connectors.errors import UnreadableRecord

Reader = Callable[[Any], Any]
"""Turns a value that is not null into what its Arrow array is built from; raises UnreadableRecord."""


def instance_of(expected: type) -> Reader:
    """Make the reader of values that stay as they are."""

    def read(value: Any) -> Any:
        if not isinstance(value, expected):
            raise UnreadableRecord(f"not a {expected.__name__}")
        return value

    return read


string = instance_of(str)


def base64_bytes(value: Any) -> bytes:
    """Read the bytes that a JSON document holds as base64."""
    try:
        return base64.b64decode(string(value), validate=True)
    except (binascii.Error, ValueError) as error:
        raise UnreadableRecord("not base64") from error


def floating(value: Any) -> float:
    """Read a float; JSON has no literal for the special ones and sends them as text."""
    if isinstance(value, str) and value in ("NaN", "Infinity", "-Infinity"):
        return float(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    raise UnreadableRecord("not a floating-point number")


def integer(bits: int) -> Reader:
    """Make the reader of signed integers of so many bits."""
    limit = 1 << (bits - 1)

    def read(value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not -limit <= value < limit:
            raise UnreadableRecord(f"not an integer of {bits} bits")
        return int(value)

    return read
