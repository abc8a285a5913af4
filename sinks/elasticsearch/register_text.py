"""Text format of a document's registers and images in Elasticsearch: texts by part, and images by side and then part.

A register is the text of its streamed version, or `|` and the text of its snapshot row, or both with `|` between them.
Texts by part are written as pairs, not as objects. Elasticsearch's JSON parser caches all member names and copies the
cache for each document with a new name. Parts are unique to a document, so as names they would take more time than all
the rest. Earlier versions wrote objects with parts as names; these can still be read.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from sinks.ordering.document import Parts
from sinks.ordering.register import EMPTY_REGISTER, Change, Register
from sinks.ordering.version_text import decode_version, encode_version

Texts = dict[str, str] | list[tuple[str, str]]


class ImageTexts(msgspec.Struct, omit_defaults=True):
    """Images that the visible content does not contain unchanged, as text."""

    streamed: Texts = []
    snapshot: Texts = []


def lacks_images(parts: Parts) -> bool:
    """Return whether an image was left out of a rejected document, so that the document cannot be shown yet."""
    return not all(map(has_images, parts.values()))


def with_images_of(incoming: Parts, known: Parts) -> Parts:
    """Return the known registers, with a change from `incoming` in place of the same change without its image."""
    return {
        part: Register(*map(_unless_repeated, register, incoming.get(part, EMPTY_REGISTER)))
        if not has_images(register)
        else register
        for part, register in known.items()
    }


def _unless_repeated(known: Change | None, incoming: Change | None) -> Change | None:
    if known is None or incoming is None or has_image(known) or known.order != incoming.order:
        return known
    return incoming


def lengths_of_images(parts: Parts) -> Iterator[tuple[int, str, str, str]]:
    """Yield length, side, part and text of every image."""
    for part, register in parts.items():
        for side, change in zip(("streamed", "snapshot"), register, strict=True):
            if change is not None and change.image is not None:
                text = str(change.image)
                yield len(text), side, part, text


def registers_of(texts: Texts, images: ImageTexts) -> Parts:
    """Decode the registers of a document, with the images that are stored separately."""
    streamed, snapshot = dict(images.streamed), dict(images.snapshot)
    return {part: _register(text, streamed.get(part), snapshot.get(part)) for part, text in sorted(dict(texts).items())}


def text_of(register: Register) -> str:
    """Encode a register as text."""
    streamed, snapshot = register
    text = "" if streamed is None else encode_version(streamed)
    return text if snapshot is None else f"{text}|{encode_version(snapshot)}"


def _register(text: str, streamed_image: str | None, snapshot_image: str | None) -> Register:
    streamed, _, snapshot = text.partition("|")
    return Register(
        decode_version(streamed, streamed_image) if streamed else None,
        decode_version(snapshot, snapshot_image) if snapshot else None,
    )


def has_images(register: Register) -> bool:
    """Return whether every change of a register that needs an image has one."""
    streamed, snapshot = register
    return (streamed is None or has_image(streamed)) and (snapshot is None or has_image(snapshot))


def has_image(change: Change) -> bool:
    """Return whether a change has its image or needs none."""
    return change.deleted or change.image is not None


def with_image(register: Register, image: str) -> Register:
    """Return the register with `image` for its visible change, unless that change has an image already."""
    shown = register.visible
    if shown is None or shown.image is not None:
        return register
    change = Change(*shown[:-1], image)
    return Register(change, register.snapshot) if shown is register.streamed else Register(register.streamed, change)
