"""Registers and images of a document, as Elasticsearch keeps them: texts by part, and images by side and then by part.

A register is the text of its streamed version, or `|` and the text of its snapshot row, or both with `|` between them.

Texts by part are written as pairs. Elasticsearch's JSON parser keeps the names of all members that it meets, and copies
what it keeps for each document that has a new one: of parts as names, which no two documents share, it takes more time
than of everything else. Objects with parts as names are what earlier versions wrote, and are read as well.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from sinks.ordering.document import Parts
from sinks.ordering.register import EMPTY_REGISTER, Change, Register
from sinks.ordering.version_text import decode_version, encode_version

Texts = dict[str, str] | list[tuple[str, str]]


class ImageTexts(msgspec.Struct, omit_defaults=True):
    """Images that readers do not see as they are, as text."""

    streamed: Texts = []
    snapshot: Texts = []


def lacks_images(parts: Parts) -> bool:
    """Whether an image was left out of a rejected document, so that it cannot be shown yet."""
    return not all(map(has_images, parts.values()))


def with_images_of(incoming: Parts, known: Parts) -> Parts:
    """What is known, without the changes that lack the image which the same change has among the incoming ones."""
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
    """Length, side, part and text of every image."""
    for part, register in parts.items():
        for side, change in zip(("streamed", "snapshot"), register, strict=True):
            if change is not None and change.image is not None:
                text = str(change.image)
                yield len(text), side, part, text


def registers_of(texts: Texts, images: ImageTexts) -> Parts:
    """Read the registers of a document, with the images that are kept beside them."""
    streamed, snapshot = dict(images.streamed), dict(images.snapshot)
    return {part: _register(text, streamed.get(part), snapshot.get(part)) for part, text in sorted(dict(texts).items())}


def text_of(register: Register) -> str:
    """Write a register."""
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
    """Whether every change of a register that needs an image has one."""
    streamed, snapshot = register
    return (streamed is None or has_image(streamed)) and (snapshot is None or has_image(snapshot))


def has_image(change: Change) -> bool:
    """Whether a change has its image, or needs none."""
    return change.deleted or change.image is not None


def with_image(register: Register, image: str) -> Register:
    """The register, with the image that readers see where it has none of its own."""
    shown = register.visible
    if shown is None or shown.image is not None:
        return register
    change = Change(*shown[:-1], image)
    return Register(change, register.snapshot) if shown is register.streamed else Register(register.streamed, change)
