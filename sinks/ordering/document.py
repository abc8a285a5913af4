"""Documents without joins: a document maps parts to registers, and two documents merge part by part.

Changes of a root row and of its children may arrive in any order, repeatedly, or through several workers; the document
converges. It is visible only while its root part is alive.
"""

from __future__ import annotations

from collections.abc import Mapping

from sinks.ordering.range_tombstone import RangeTombstones
from sinks.ordering.register import EMPTY_REGISTER, Register, merge_registers
from sinks.shape import ROOT, DocumentShape, collection_of, tombstone_scope

Parts = dict[str, Register]
"""Parts of a document: a register per part, with images as JSON text."""


def merge(
    known: Mapping[str, Register], incoming: Mapping[str, Register], range_tombstones: RangeTombstones, document: str
) -> Parts:
    """Merge two maps of parts, and apply the document's range tombstones to every part."""
    merged = {**known}
    for part, register in incoming.items():
        merged[part] = merge_registers(merged.get(part, EMPTY_REGISTER), register)
    if range_tombstones:
        return {part: _tombstoned(register, part, range_tombstones, document) for part, register in merged.items()}
    return merged


def _tombstoned(register: Register, part: str, range_tombstones: RangeTombstones, document: str) -> Register:
    change = register.streamed or register.snapshot
    if change is None:
        return register
    return merge_registers(
        register, range_tombstones.for_row(tombstone_scope(document, collection_of(part)), change.partition)
    )


def is_visible(parts: Mapping[str, Register]) -> bool:
    """Return whether readers see the document, which requires a living root row."""
    return parts.get(ROOT, EMPTY_REGISTER).is_alive


def render(parts: Mapping[str, Register], shape: DocumentShape) -> str | None:
    """Render the document as readers see it, or None if it is not visible.

    The result is the root's image, then every collection as an array of its living parts' images, in order of part.
    Images are copied as text, so that no number is ever rounded.
    """
    root = parts.get(ROOT, EMPTY_REGISTER).visible
    if root is None or root.deleted:
        return None
    arrays: dict[str, list[str]] = {name: [] for name in shape.collections}
    for part in sorted(parts):
        shown = parts[part].visible
        if part != ROOT and shown is not None and not shown.deleted:
            arrays[collection_of(part)].append(str(shown.image))
    fields = [f'"{name}":[{",".join(images)}]' for name, images in arrays.items()]
    return ",".join([str(root.image)[:-1], *fields]) + "}"
