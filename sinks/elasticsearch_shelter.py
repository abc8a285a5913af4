"""JSON that PostgreSQL keeps and Elasticsearch cannot read, turned into text that it can.

Elasticsearch's parser refuses more than 1,000 levels of nesting, numbers of more than 1,000 digits, and a name given
twice in one object (which `jsonb` cannot hold, but `json` can), even where nothing of the value is indexed. Readers of
such a document see the value of its JSON columns as a string.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator

_DEEPEST = 500
"""Levels of nesting; well below Elasticsearch's limit, and below that of the parser that reads documents back."""

_STRING = r'"[^"\\]*(?:\\.[^"\\]*)*"'
_TOKEN = re.compile(rf"({_STRING})|([\[{{])|([\]}}])|([,:])")
_QUOTED = re.compile(_STRING)
_ESCAPED = str.maketrans({'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"})


def is_too_deep(image: str) -> bool:
    """Whether JSON text is nested too deeply for the parsers on its way."""
    if image.count("[") + image.count("{") <= _DEEPEST:
        return False
    depth = deepest = 0
    for bracket in re.findall(r"[\[\]{}]", _QUOTED.sub("", image)):
        depth += 1 if bracket in "[{" else -1
        deepest = max(deepest, depth)
    return deepest > _DEEPEST


def shelter(image: str, columns: Collection[str]) -> str:
    """Write the values of some columns as strings that hold their JSON text.

    Args:
        image: a row as a JSON object.
        columns: the names whose values to write so; null stays null, and a string stays itself.
    """
    members = [
        f"{name}:{_as_string(value) if json.loads(name) in columns else value}" for name, value in _members(image)
    ]
    return "{" + ",".join(members) + "}"


def _as_string(value: str) -> str:
    return value if value == "null" or value.startswith('"') else f'"{value.translate(_ESCAPED)}"'


def _members(image: str) -> Iterator[tuple[str, str]]:
    """Take a JSON object apart into the texts of its names and values, however deep and strange the values are."""
    depth, start, name = 0, 0, ""
    for token in _TOKEN.finditer(image):
        _, opening, closing, mark = token.groups()
        if depth == 1 and mark == ":":
            name, start = image[start : token.start()].strip(), token.end()
        elif depth == 1 and name and (mark or closing):
            yield name, image[start : token.start()].strip()
            name, start = "", token.end()
        if opening:
            depth += 1
            start = token.end() if depth == 1 else start
        elif closing:
            depth -= 1
