"""Fallback for JSON that PostgreSQL accepts and Elasticsearch cannot parse: it is stored as text.

Elasticsearch's parser rejects more than 1,000 levels of nesting, numbers of more than 1,000 digits, and names of more
than 50,000 characters. It also rejects duplicate names in one object, which are possible in `json`, not in `jsonb`. All
this holds even if nothing of the value is indexed. The parser accepts half a surrogate pair, such as "\\ud800", but the
parsers of its answers do not. One such document would make an answer with many documents unreadable. Readers of such a
document see the values of its JSON columns as strings.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator

_DEEPEST = 500
"""Levels of nesting: well below the limits of Elasticsearch and of the parser that reads documents back."""

_STRING = r'"[^"\\]*(?:\\.[^"\\]*)*"'
_TOKEN = re.compile(rf"({_STRING})|([\[{{])|([\]}}])|([,:])")
_QUOTED = re.compile(_STRING)
_ESCAPED = str.maketrans({'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"})


_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|.)", re.DOTALL)
_HIGH = range(0xD800, 0xDC00)
_LOW = range(0xDC00, 0xE000)


def is_unreadable(image: str) -> bool:
    """Return whether one of the parsers that process this JSON text would reject it."""
    return exceeds_nesting_limit(image) or has_half_pair(image)


def has_half_pair(image: str) -> bool:
    """Return whether an escape in JSON text is half a surrogate pair."""
    if "\\ud" not in image and "\\uD" not in image:
        return False
    # The position at which the low half must follow a high half; -1 if none is expected.
    awaited = -1
    for escape in _ESCAPE.finditer(image):
        code = int(escape[1], 16) if escape[1] else 0
        if awaited >= 0:
            if code not in _LOW or escape.start() != awaited:
                return True
            awaited = -1
        elif code in _LOW:
            return True
        elif code in _HIGH:
            awaited = escape.end()
    return awaited >= 0


def exceeds_nesting_limit(image: str) -> bool:
    """Return whether JSON text is nested too deeply for the parsers that process it."""
    if image.count("[") + image.count("{") <= _DEEPEST:
        return False
    depth = deepest = 0
    for bracket in re.findall(r"[\[\]{}]", _QUOTED.sub("", image)):
        depth += 1 if bracket in "[{" else -1
        deepest = max(deepest, depth)
    return deepest > _DEEPEST


def stringify_columns(image: str, columns: Collection[str]) -> str:
    """Replace the values of some columns with strings of their JSON text.

    Args:
        image: a row as a JSON object.
        columns: the names of the columns. Null stays null, and a string that parsers accept stays unchanged.
    """
    members = [
        f"{name}:{_as_string(value) if json.loads(name) in columns else value}"
        for name, value in _object_members(image)
    ]
    return "{" + ",".join(members) + "}"


def _as_string(value: str) -> str:
    is_plain = value == "null" or (value.startswith('"') and not has_half_pair(value))
    return value if is_plain else f'"{value.translate(_ESCAPED)}"'


def _object_members(image: str) -> Iterator[tuple[str, str]]:
    """Yield names and values of a JSON object as texts. The values may be of any depth and may not parse."""
    depth, start, name = 0, 0, ""
    for token in _TOKEN.finditer(image):
        _, opening, closing, punctuation = token.groups()
        if depth == 1 and punctuation == ":":
            name, start = image[start : token.start()].strip(), token.end()
        elif depth == 1 and name and (punctuation or closing):
            yield name, image[start : token.start()].strip()
            name, start = "", token.end()
        if opening:
            depth += 1
            start = token.end() if depth == 1 else start
        elif closing:
            depth -= 1
