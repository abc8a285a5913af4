"""Atomic replacement of small files that other processes read."""

from __future__ import annotations

from pathlib import Path


def write_whole(path: Path, text: str) -> None:
    """Replace the file in one step. A reader sees the old text or the new text, never a part."""
    pending = pending_of(path)
    pending.write_text(text)
    pending.replace(path)


def pending_of(path: Path) -> Path:
    """Return the path of the file that receives the new text before it replaces `path`."""
    return path.with_name(f"{path.name}.new")
