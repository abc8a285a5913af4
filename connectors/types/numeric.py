"""Numerics in every wire form of Debezium, converted one at a time to the text of an exact decimal."""

import math
import re
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal
from enum import Enum, auto
from typing import Any

from connectors.errors import InexactDecimal, ScaleExceeded, UnreadableRecord, WireTypeRefused
from connectors.types.primitives import Reader, base64_bytes, floating, instance_of, string
from connectors.types.wire_types import WireType


class DecimalPolicy(Enum):
    """Policy for numerics that are sent as doubles, which cannot represent every amount."""

    EXACT = auto()
    ALLOW_DOUBLE = auto()


_SPECIAL_NUMBERS = {
    "nan": "NaN",
    "infinity": "Infinity",
    "-infinity": "-Infinity",
    "positive_infinity": "Infinity",
    "negative_infinity": "-Infinity",
}
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,6})?", re.ASCII)
_EXACT = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN)


def numeric_reader(wire: WireType, scale: int | None, decimals: DecimalPolicy) -> Reader:
    """Return the function that reads a numeric in this wire form.

    Args:
        scale: the declared number of digits after the point, or None.

    Raises:
        WireTypeRefused: the form is not that of a numeric, or is a double that was not allowed.
    """
    match wire.form, wire.name:
        case "string", _:
            number = _number_of_text if wire.scale is None else _number_of_text_with(wire.scale)
        case "double", _ if decimals is DecimalPolicy.ALLOW_DOUBLE:
            number = _number_of_double
        case "double", _:
            raise InexactDecimal("a numeric sent as a double")
        case (("bytes" | "base64"), "org.apache.kafka.connect.data.Decimal") if wire.scale is not None:
            number = _number_of_bytes(wire.scale, wire.form)
        case "record", "io.debezium.data.VariableScaleDecimal":
            number = _number_of_variable_scale
        case _:
            raise WireTypeRefused(f"sent as {wire.name or wire.form}")

    def read(value: Any) -> str:
        return _plain(number(value), scale)

    return read


def decimal_text(text: str, scale: int | None) -> str:
    """Format a number printed by PostgreSQL or the connector as `numeric_reader` does.

    Raises:
        UnreadableRecord: the text is not a number.
    """
    return _plain(_number_of_text(text), scale)


def _number_of_text(value: Any) -> Decimal:
    text = string(value)
    special = _SPECIAL_NUMBERS.get(text.lower())
    if special is None and _NUMBER.fullmatch(text) is None:
        raise UnreadableRecord("not a number")
    return Decimal(special or text)


def _number_of_text_with(scale: int) -> Reader:
    """Return a parser that requires a point: without a schema, the digits of a base64 decimal would look like a number.

    Fewer digits after the point belong to a record that was written before the column got its scale.
    """

    def read(value: Any) -> Decimal:
        number = _number_of_text(value)
        exponent = number.as_tuple().exponent
        if isinstance(exponent, int) and not -scale <= exponent < 0:
            if len(value.partition(".")[2]) > scale:
                raise ScaleExceeded(f"a numeric with more than the declared {scale} digits after its point")
            raise UnreadableRecord(f"not a decimal text of scale {scale}")
        return number

    return read


def _number_of_double(value: Any) -> Decimal:
    number = floating(value)
    return Decimal(repr(number + 0.0)) if math.isfinite(number) else Decimal(number)


def _number_of_bytes(scale: int, form: str) -> Reader:
    bytes_of = base64_bytes if form == "base64" else instance_of(bytes)

    def read(value: Any) -> Decimal:
        return _EXACT.scaleb(Decimal(int.from_bytes(bytes_of(value), "big", signed=True)), -scale)

    return read


def _number_of_variable_scale(value: Any) -> Decimal:
    if not isinstance(value, dict) or not isinstance(value.get("scale"), int):
        raise UnreadableRecord("not a decimal with its scale")
    unscaled = value.get("value")
    form = "base64" if isinstance(unscaled, str) else "bytes"
    number: Decimal = _number_of_bytes(value["scale"], form)(unscaled)
    return number


def _plain(number: Decimal, scale: int | None) -> str:
    """Format a number without an exponent, and with exactly `scale` digits after the point if `scale` is given."""
    if not number.is_finite():
        return {"NaN": "NaN", "Infinity": "Infinity"}.get(str(number), "-Infinity")
    if scale is None:
        return f"{number:f}"
    padded = _EXACT.quantize(number, Decimal(1).scaleb(-scale, _EXACT))
    if padded != number:
        raise ScaleExceeded(f"a numeric with more than the declared {scale} digits after its point")
    return f"{padded:f}"
