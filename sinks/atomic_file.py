"""Small files that other processes read while they are replaced."""

from __future__ import annotations

from pathlib import Path


def write_whole(path: Path, text: str) -> None:
    """Replace the file in one step: a reader finds the old text or the new one, never a part."""
    pending = pending_of(path)
    pending.write_text(text)
    pending.replace(path)


def pending_of(path: Path) -> Path:
    """The file beside it that holds the new text until then."""
    return path.with_name(f"{path.name}.new")
