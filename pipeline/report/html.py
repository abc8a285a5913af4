"""HTML and SVG as a tree, so that whatever stands in the data is text and nothing else."""

from __future__ import annotations

import re
from xml.etree.ElementTree import Element, tostring

Child = Element | str

_NOT_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
"""Characters that no page may hold."""


def element(tag: str, *children: Child, **attributes: object) -> Element:
    """An element.

    Args:
        attributes: by name, where `_` stands for `-`, and `class_` for `class`.
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
    """A whole page."""
    return "<!DOCTYPE html>\n" + tostring(root, encoding="unicode", method="html") + "\n"


def _text(value: object) -> str:
    return _NOT_TEXT.sub("\ufffd", str(value))
