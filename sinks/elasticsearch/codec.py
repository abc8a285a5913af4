"""A document as Elasticsearch keeps it: what readers see, and beside it what the next merge needs to know.

    {"id": 42, "status": "paid", …, "items": [{"id": 7, …}],
     "readmodels": {"kind": "visible", "registers": [["", "…"], ["items/7", "…"]]}}

The fields and the items *are* the images of the living parts, kept once. An image that readers do not see so (of a
part without a root row, of the side of a register that is not shown, or with JSON that had to be sheltered) stands
under `readmodels.images` as text, by side and then by part. A deletion stays as a register, for without it a repeated
image would revive the row. Images pass through as text in both directions, so that no number is ever rounded.

What somebody changes by hand must not stop the model. Where a document does not hold what its registers say, the
changes whose images cannot be told any more are not known any more: readers miss those parts from the next write on,
until a change or a repair brings them again. Deletions need no image, and stay.

A document that the index refuses for what it is gives way to a small one of another kind, under the same id:

    {"readmodels": {"kind": "rejected", "rejection": {"key": "42", "reason": "…", "at": "…"}, "packed": ["…"]}}

Readers do not find it, and so never the version before. All that is known is packed in it (compressed, as text), so
that the next change makes the whole document, and the index is asked again. Where that is refused too, the longest
images are left out, and the document stays rejected until changes or a repair have brought each of them again.
"""

from __future__ import annotations

import zlib
from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256
from operator import itemgetter
from typing import NamedTuple

import msgspec

from sinks.elasticsearch.json_fallback import is_unreadable, stringify_columns
from sinks.elasticsearch.mapping import METADATA_FIELD
from sinks.elasticsearch.register_text import (
    ImageTexts,
    Texts,
    has_image,
    has_images,
    lengths_of_images,
    registers_of,
    text_of,
    with_image,
)
from sinks.ordering.document import Parts, render
from sinks.ordering.register import EMPTY_REGISTER, Change, Register
from sinks.pg_type import parse_pg_type
from sinks.shape import ROOT, DocumentShape, collection_of

VISIBLE = "visible"
HIDDEN = "hidden"
REJECTED = "rejected"
"""The kinds of a document: one that readers find, one whose root row is dead or not yet known, and one that the index
has refused."""

DOCUMENTS = (VISIBLE, HIDDEN, REJECTED)

RESERVED = f"{METADATA_FIELD}:"
"""How the ids of what is not a document begin."""

_REJECTED_SOURCE = b'{"%b":{"kind":"%b"' % (METADATA_FIELD.encode(), REJECTED.encode())

_HASHED = f"{RESERVED}key:"

_LONGEST_ID = 512
"""Bytes that Elasticsearch takes as an id."""


class RefusedDocument(msgspec.Struct, frozen=True):
    """Why, and since when, the index refuses a document.

    Args:
        at: in ISO 8601.
    """

    key: str
    reason: str
    at: str


class _Metadata(msgspec.Struct, omit_defaults=True):
    kind: str
    registers: Texts = []
    images: ImageTexts | None = None
    rejection: RefusedDocument | None = None
    packed: list[str] = []


class _Rejected(msgspec.Struct):
    rejection: RefusedDocument


class _Packed(msgspec.Struct):
    registers: Texts
    images: ImageTexts


class DecodedDocument(NamedTuple):
    """What is known of a stored document.

    Args:
        is_damaged: whether somebody else has changed it, so that it does not hold all that its registers say.
        refused: of a rejected document, whose changes may lack images.
    """

    parts: Parts
    is_damaged: bool = False
    refused: RefusedDocument | None = None


_NO_IMAGES = ImageTexts()
_UNREADABLE = (msgspec.MsgspecError, LookupError, ValueError, zlib.error)

_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
_items = msgspec.json.Decoder(list[msgspec.Raw])
_kept = msgspec.json.Decoder(_Metadata)
_rejected = msgspec.json.Decoder(dict[str, _Rejected])
_packed = msgspec.json.Decoder(_Packed)

_PIECE = 2**20
"""Characters; Elasticsearch's parser refuses a string of more than some ten million."""


def document_id(key: str) -> str:
    """The id of the document with this key: the key itself, so that a reader can ask for it.

    A key that is empty, longer than an id may be, or begins as the sink's own ids do, is hashed.
    """
    if key and not key.startswith(RESERVED) and len(key.encode()) <= _LONGEST_ID:
        return key
    return f"{_HASHED}{sha256(key.encode()).hexdigest()}"


def is_of_document(id_: str) -> bool:
    """Whether an id is that of a document, and not of the sink's own ledger."""
    return not id_.startswith(RESERVED) or id_.startswith(_HASHED)


def is_rejected(source: bytes) -> bool:
    """Whether a source stands in the place of a document that the index has refused."""
    return source.startswith(_REJECTED_SOURCE)


def refused_document(source: bytes) -> RefusedDocument:
    """Read why a rejected document was refused, of a source that may be without the rest."""
    return _rejected.decode(source)[METADATA_FIELD].rejection


class DocumentCodec:
    """Documents of one shape, to and from their `_source`."""

    def __init__(self, shape: DocumentShape) -> None:
        self._shape = shape
        tables = {ROOT: shape.columns, **shape.collections}
        self._json = {name: _json_columns(columns) for name, columns in tables.items()}

    def encode(self, parts: Parts) -> bytes:
        """Write what is known of a document as one line of JSON."""
        content = render(parts, self._shape)
        if content is not None and is_unreadable(content):
            return self._write_sheltered(parts)
        return _line(content, parts, _shown(parts))

    def encode_json_as_text(self, source: bytes) -> bytes | None:
        """Write a document again, with its JSON columns as text; None where that would change nothing."""
        written = self._write_sheltered(self.decode(source).parts)
        return None if written == source else written

    def encode_rejected(self, parts: Parts, refused: RefusedDocument, longest_bytes: int | None = None) -> bytes:
        """Write what stands in the place of a document that the index refuses.

        Args:
            longest_bytes: of all images together, above which the longest are left out; None for no limit.
        """
        registers, images = _texts_of(parts), ImageTexts()
        left_bytes = longest_bytes
        for size, side, part, image in sorted(lengths_of_images(parts), key=itemgetter(0)):
            if left_bytes is None or (left_bytes := left_bytes - size) >= 0:
                getattr(images, side).append((part, image))
        packed = b64encode(zlib.compress(msgspec.json.encode(_Packed(registers, images)), level=1)).decode()
        pieces = [packed[first : first + _PIECE] for first in range(0, len(packed), _PIECE)]
        return msgspec.json.encode({METADATA_FIELD: _Metadata(REJECTED, rejection=refused, packed=pieces)})

    def decode(self, source: bytes) -> DecodedDocument:
        """Read what `write` or `encode_rejected` wrote, or what somebody else has made of it."""
        try:
            fields = _fields.decode(source)
            kept = _kept.decode(fields.pop(METADATA_FIELD))
            if kept.rejection is not None:
                packed = _packed.decode(zlib.decompress(b64decode("".join(kept.packed))))
                return DecodedDocument(registers_of(packed.registers, packed.images), refused=kept.rejection)
            known = registers_of(kept.registers, kept.images or _NO_IMAGES)
        except _UNREADABLE:
            return DecodedDocument({}, is_damaged=True)
        if kept.kind != VISIBLE:
            return _without_missing_images(known, is_damaged=False)
        seen = self._images(fields)
        expected = Counter(collection_of(part) for part, register in known.items() if register.is_alive)
        aligned = {name: iter(images) for name, images in seen.items() if len(images) == expected[name]}
        for part, register in known.items():
            if register.is_alive and (images := aligned.get(collection_of(part))) is not None:
                known[part] = with_image(register, next(images))
        return _without_missing_images(known, is_damaged=len(aligned) < len(seen) or not expected.keys() <= seen.keys())

    def _images(self, fields: dict[str, msgspec.Raw]) -> dict[str, list[str]]:
        """What readers see: the root's image, and per collection those of its living parts, in order of part."""
        items = {name: _texts(fields.pop(name, msgspec.Raw(b"[]"))) for name in self._shape.collections}
        root = ",".join([_name(name) + str(raw, "utf-8") for name, raw in fields.items()])
        return {ROOT: ["{" + root + "}"] if root else [], **items}

    def _write_sheltered(self, parts: Parts) -> bytes:
        sheltered = {part: self._sheltered(part, register) for part, register in parts.items()}
        exact = {part: change for part, change in _shown(parts).items() if sheltered[part].visible is change}
        return _line(render(sheltered, self._shape), parts, exact)

    def _sheltered(self, part: str, register: Register) -> Register:
        shown, columns = register.visible, self._json[collection_of(part)]
        if shown is None or shown.deleted or not columns:
            return register
        image = stringify_columns(str(shown.image), columns)
        return register if image == shown.image else Register(shown._replace(image=image))


def _line(content: str | None, parts: Parts, exact: Mapping[str, Change | None]) -> bytes:
    """Put together what readers see and what is kept beside it.

    Args:
        exact: per part, the change whose image stands in the content as it is.
    """
    seen = {} if content is None else exact
    streamed: list[tuple[str, str]] = []
    snapshot: list[tuple[str, str]] = []
    for part, register in parts.items():
        for side, change in ((streamed, register.streamed), (snapshot, register.snapshot)):
            if change is not None and not change.deleted and change is not seen.get(part):
                side.append((part, str(change.image)))
    images = ImageTexts(streamed, snapshot) if streamed or snapshot else None
    kept = msgspec.json.encode(_Metadata(HIDDEN if content is None else VISIBLE, _texts_of(parts), images))
    if content is None:
        return b'{"%b":%b}' % (METADATA_FIELD.encode(), kept)
    # A line break outside a string is only space in JSON, but would end the line in a bulk request.
    line = content.replace("\n", " ") if "\n" in content else content
    return b'%b,"%b":%b}' % (line[:-1].encode(), METADATA_FIELD.encode(), kept)


def _texts_of(parts: Parts) -> Texts:
    return [(part, text_of(register)) for part, register in parts.items()]


def _shown(parts: Parts) -> dict[str, Change | None]:
    return {part: register.visible for part, register in parts.items()}


def _without_missing_images(known: Parts, *, is_damaged: bool) -> DecodedDocument:
    """The registers, without the changes whose images are missing."""
    if not is_damaged and all(map(has_images, known.values())):
        return DecodedDocument(known)
    rest = {
        part: Register(*(change if change is None or has_image(change) else None for change in register))
        for part, register in known.items()
    }
    return DecodedDocument(
        {part: register for part, register in rest.items() if register != EMPTY_REGISTER}, is_damaged=True
    )


def _texts(array: msgspec.Raw) -> list[str]:
    try:
        return [str(raw, "utf-8") for raw in _items.decode(array)]
    except msgspec.MsgspecError:
        return []


@lru_cache(maxsize=4096)
def _name(name: str) -> str:
    return msgspec.json.encode(name).decode() + ":"


def _json_columns(columns: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(name for name, text in columns.items() if parse_pg_type(text).name in ("json", "jsonb"))
