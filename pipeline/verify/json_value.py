"""JSON values, compared as PostgreSQL does: key order, white space and the notation of numbers do not matter.

Values may be as deeply nested, and numbers as long, as PostgreSQL allows: nothing here recurses, and digits stay text
because Python limits the number of digits that `int` converts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

MAX_SHOWN_LENGTH = 80
"""Maximum length in characters of a value that is shown to an operator."""

_TOKEN = re.compile(
    r"""[ \t\n\r]*(?:
        (?P<string>"[^"\\\x00-\x1f]*(?:\\.[^"\\\x00-\x1f]*)*")
        | (?P<number>-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)
        | (?P<word>true|false|null)
        | (?P<mark>[\[\]{},:]))""",
    re.VERBOSE,
)
_NUMBER = re.compile(r"(-?)([0-9]+)(?:\.([0-9]+))?(?:[eE]([+-]?)0*([0-9]+))?")
_WORDS = {"true": True, "false": False, "null": None}


class Malformed(ValueError):
    """The text is not JSON."""


@dataclass(frozen=True)
class Number:
    """JSON number. Numbers are equal if their values are equal, in any notation.

    Args:
        text: the number as written.
        is_negative: whether it is below zero.
        digits: the decimal digits of its value, without zeros at either end.
        exponent: the power of ten by which `0.digits` is multiplied.
    """

    text: str = field(compare=False)
    is_negative: bool
    digits: str
    exponent: int

    def __str__(self) -> str:
        return self.text


def number(text: str) -> Number:
    """Parse a JSON number without loss of precision."""
    matched = _NUMBER.fullmatch(text)
    if matched is None:
        raise Malformed("not a number")
    sign, whole, fraction, exponent_sign, exponent = matched.groups(default="")
    written_digits = (whole + fraction).lstrip("0")
    digits = written_digits.rstrip("0")
    if not digits:
        return Number(text, is_negative=False, digits="", exponent=0)
    power = _integer(exponent) * (-1 if exponent_sign == "-" else 1)
    return Number(text, bool(sign), digits, power + len(written_digits) - len(fraction))


def _integer(digits: str) -> int:
    value = 0
    for start in range(0, len(digits), 640):
        page = digits[start : start + 640]
        value = value * 10 ** len(page) + int(page)
    return value


class _Next(Enum):
    """Tokens that may follow in a text."""

    VALUE = auto()
    ITEM_OR_END = auto()
    NAME = auto()
    NAME_OR_END = auto()
    COLON = auto()
    COMMA_OR_END = auto()
    NOTHING = auto()


class _Reader:
    """Assembler of tokens into a value. An explicit stack keeps the containers that are still open."""

    def __init__(self) -> None:
        self.value: Any = None
        self.expected = _Next.VALUE
        self._open: list[dict[str, Any] | list[Any]] = []
        self._names: list[str] = []

    def take(self, kind: str | None, text: str) -> None:
        """Process one token."""
        match self.expected, kind, text:
            case _Next.COLON, _, ":":
                self.expected = _Next.VALUE
            case ((_Next.NAME | _Next.NAME_OR_END), "string", _):
                self._names.append(_string(text))
                self.expected = _Next.COLON
            case _Next.COMMA_OR_END, _, ",":
                self.expected = _Next.NAME if isinstance(self._open[-1], dict) else _Next.VALUE
            case (_Next.NAME_OR_END, _, "}") | (_Next.ITEM_OR_END, _, "]"):
                self._close()
            case _Next.COMMA_OR_END, _, ("}" | "]") if isinstance(self._open[-1], dict) == (text == "}"):
                self._close()
            case ((_Next.VALUE | _Next.ITEM_OR_END), _, ("{" | "[")):
                self._open.append({} if text == "{" else [])
                self.expected = _Next.NAME_OR_END if text == "{" else _Next.ITEM_OR_END
            case ((_Next.VALUE | _Next.ITEM_OR_END), ("string" | "number" | "word"), _):
                self._add(_scalar(kind, text))
            case _:
                raise Malformed("not JSON")

    def _close(self) -> None:
        self._add(self._open.pop())

    def _add(self, value: Any) -> None:
        self.expected = _Next.COMMA_OR_END if self._open else _Next.NOTHING
        if not self._open:
            self.value = value
        elif isinstance(container := self._open[-1], dict):
            container[self._names.pop()] = value
        else:
            container.append(value)


def _scalar(kind: str, text: str) -> Any:
    if kind == "number":
        return number(text)
    return _WORDS[text] if kind == "word" else _string(text)


def _string(text: str) -> str:
    try:
        return str(json.loads(text))
    except ValueError as error:
        raise Malformed("not a string") from error


def parsed(text: str) -> Any:
    """Parse JSON with exact numbers. If a name occurs twice, the last value counts.

    Raises:
        Malformed: the text is not JSON.
    """
    try:
        return json.loads(text, parse_float=number, parse_int=number, parse_constant=number)
    except RecursionError:
        return _parsed_without_recursion(text)
    except ValueError as error:
        raise Malformed(type(error).__name__) from error


def _parsed_without_recursion(text: str) -> Any:
    reader, place = _Reader(), 0
    text = text.rstrip(" \t\n\r")
    while place < len(text):
        token = _TOKEN.match(text, place)
        if token is None:
            raise Malformed("not JSON")
        reader.take(token.lastgroup, token[token.lastgroup or 0])
        place = token.end()
    if reader.expected is not _Next.NOTHING:
        raise Malformed("JSON that ends too early")
    return reader.value


def json_equal(one: Any, other: Any) -> bool:
    """Return whether two values are equal."""
    pairs = [(one, other)]
    while pairs:
        first, second = pairs.pop()
        if type(first) is not type(second):
            return False
        if isinstance(first, dict):
            if first.keys() != second.keys():
                return False
            pairs += [(value, second[name]) for name, value in first.items()]
        elif isinstance(first, list):
            if len(first) != len(second):
                return False
            pairs += zip(first, second, strict=True)
        elif first != second:
            return False
    return True


def format_json(value: Any) -> str:
    """Format a value as JSON text, shortened for display."""
    text = ""
    for piece in _pieces(value):
        text += piece
        if len(text) > MAX_SHOWN_LENGTH:
            break
    return shortened(text)


def _pieces(value: Any) -> Iterator[str]:
    rest: list[Iterator[tuple[str, Any]]] = [iter([("", value)])]
    ends: list[str] = []
    while rest:
        found = next(rest[-1], None)
        if found is None:
            rest.pop()
            if ends:
                yield ends.pop()
            continue
        label, one = found
        yield label
        if isinstance(one, dict):
            yield "{"
            rest.append(_members(one))
            ends.append("}")
        elif isinstance(one, list):
            yield "["
            rest.append((", " if place else "", item) for place, item in enumerate(one))
            ends.append("]")
        else:
            yield one.text if isinstance(one, Number) else _quoted(one)


def _members(fields: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for place, (name, value) in enumerate(fields.items()):
        yield (", " if place else "") + _quoted(name) + ": ", value


def _quoted(value: Any) -> str:
    text = json.dumps(value[: MAX_SHOWN_LENGTH + 1] if isinstance(value, str) else value, ensure_ascii=False)
    # UTF-8 cannot encode a lone surrogate.
    return text.encode("utf-8", "backslashreplace").decode()


def shortened(text: str) -> str:
    """Shorten a text for display."""
    return text if len(text) <= MAX_SHOWN_LENGTH else text[: MAX_SHOWN_LENGTH - 1] + "…"
