"""Escaping of external text, such as values, names and messages, for a terminal."""

from __future__ import annotations

import re

_COMMANDS = (
    r"\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0, DEL and C1, without tab and line feed
    r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # marks of the direction of writing
    r"\u2028\u2029\ufeff\U000e0000-\U000e007f"  # separators, the byte order mark, and tags
    r"\ud800-\udfff"
)
_COMMAND = re.compile(f"[{_COMMANDS}]")
_COMMAND_OR_BREAK = re.compile(rf"[{_COMMANDS}\t\n]")


def escape_controls(text: str) -> str:
    """Escape characters that control a terminal, or change the order in which it shows others.

    Line feeds and tabs stay.

    Source: https://www.unicode.org/reports/tr9/#Directional_Formatting_Characters
    """
    return _COMMAND.sub(_escape, text)


def on_one_line(text: str) -> str:
    """Escape control characters, including line feeds and tabs."""
    return _COMMAND_OR_BREAK.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    character = found.group()
    return {"\n": r"\n", "\r": r"\r", "\t": r"\t"}.get(character) or _numbered(ord(character))


def _numbered(code: int) -> str:
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
