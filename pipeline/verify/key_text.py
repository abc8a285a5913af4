"""Keys as text, as documents are named after them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def key_of(fields: Mapping[str, Any], key: Sequence[str]) -> str | None:
    """The key of a row that was read from JSON: its columns' text, joined by `:` where there are several.

    None where a column is missing or null.
    """
    texts = [fields.get(name) for name in key]
    if any(text is None for text in texts):
        return None
    if len(texts) == 1:
        return str(texts[0])
    return ":".join(str(text).replace("\\", "\\\\").replace(":", "\\:") for text in texts)
