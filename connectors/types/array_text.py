"""Array text as PostgreSQL prints it, such as `{1,NULL,3}` or `[0:1]={"a b",c}`.

Source: https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO
"""

import re
from collections.abc import Callable
from typing import Any

from connectors.errors import UnreadableRecord

WIRE_NAME = "readmodels.PostgresArray"
"""Schema name with which the converter of deploy/converter sends an array."""

Nested = list[Any]
"""Items of an array, in lists nested as deep as the array has dimensions."""

_BOUNDS = re.compile(r"(?:\[[+-]?\d+:[+-]?\d+\])+=")
_TOKEN = re.compile(r'([{}])|"((?:[^"\\]|\\.)*)"|((?:[^{},"\\]|\\.)+)', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_MAX_DIMENSIONS = 6


def items_of(text: str, item: Callable[[str], Any]) -> Nested:
    """Parse the items of an array. An array of several dimensions becomes lists of lists. Bounds are dropped.

    Args:
        item: parses PostgreSQL's text of one item.

    Raises:
        UnreadableRecord: the text is not an array.
    """
    bounds = _BOUNDS.match(text)
    body = text[bounds.end() :] if bounds else text
    if body == "{}":
        return []
    if not (body.startswith("{") and body.endswith("}")):
        raise UnreadableRecord("not an array as PostgreSQL prints it")
    if any(character in body[1:-1] for character in '"\\{}'):
        return _nested(body, item)
    return [None if one.upper() == "NULL" else item(one) for one in body[1:-1].split(",")]


def _nested(body: str, item: Callable[[str], Any]) -> Nested:
    root: Nested = []
    open_lists = [root]
    place = 0
    while place < len(body):
        token = _TOKEN.match(body, place)
        if token is None:
            if body[place] != ",":
                raise UnreadableRecord("not an array as PostgreSQL prints it")
            place += 1
            continue
        brace, quoted, bare = token.groups()
        if brace == "{":
            if len(open_lists) > _MAX_DIMENSIONS:
                raise UnreadableRecord("an array of more dimensions than PostgreSQL has")
            inner: Nested = []
            open_lists[-1].append(inner)
            open_lists.append(inner)
        elif brace == "}":
            open_lists.pop()
            if not open_lists:
                raise UnreadableRecord("not an array as PostgreSQL prints it")
        elif quoted is not None:
            open_lists[-1].append(item(_ESCAPED.sub(r"\1", quoted)))
        else:
            open_lists[-1].append(None if bare.upper() == "NULL" else item(_ESCAPED.sub(r"\1", bare)))
        place = token.end()
    if len(open_lists) != 1 or len(root) != 1 or not isinstance(root[0], list):
        raise UnreadableRecord("not an array as PostgreSQL prints it")
    return root[0]


def nested_places(items: Nested, place_of: Callable[[Any], int]) -> Nested:
    """Return the array with every item replaced by `place_of(item)`."""
    return [nested_places(one, place_of) if isinstance(one, list) else place_of(one) for one in items]


def is_nested(items: Nested) -> bool:
    """Return whether an array has more than one dimension."""
    return bool(items) and isinstance(items[0], list)
