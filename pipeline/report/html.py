"""HTML and SVG element tree, in which data can only be text."""

from __future__ import annotations

import re
from xml.etree.ElementTree import Element, tostring

Child = Element | str

_NOT_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
"""Characters that are not allowed in a page."""


def element(tag: str, *children: Child, **attributes: object) -> Element:
    """Create an element.

    Args:
        attributes: by name; `_` is written as `-`, and `class_` as `class`.
    """
    made = Element(tag, {name.rstrip("_").replace("_", "-"): _text(value) for name, value in attributes.items()})
    for child in children:
        if isinstance(child, Element):
            made.append(child)
        elif len(made):
            made[-1].tail = (made[-1].tail or "") + _text(child)
        else:
            made.text = (made.text or "") + _text(child)
    return made


def written(root: Element) -> str:
    """Serialize a whole page."""
    return "<!DOCTYPE html>\n" + tostring(root, encoding="unicode", method="html") + "\n"


def _text(value: object) -> str:
    return _NOT_TEXT.sub("\ufffd", str(value))
