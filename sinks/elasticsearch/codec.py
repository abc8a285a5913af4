"""Document format in Elasticsearch: the fields that readers see, and the metadata that the next merge needs.

    {"id": 42, "status": "paid", …, "items": [{"id": 7, …}],
     "readmodels": {"kind": "visible", "registers": [["", "…"], ["items/7", "…"]]}}

The fields and the items *are* the images of the living parts, stored once. Other images are in `readmodels.images` as
text, by side and then by part: images of parts without a root row, of the hidden side of a register, or with JSON that
had to be stored as text. A deletion stays as a register: without it, a repeated image would revive the row. Images are
text when read and written, so that no number is ever rounded.

Manual changes of a document must not stop the model. If a document does not match its registers, the changes whose
images cannot be identified are dropped. The next write removes those parts for readers, until a change or a repair
brings them back. Deletions need no image and stay.

If the index rejects a document for its content, a small document of another kind replaces it under the same id:

    {"readmodels": {"kind": "rejected", "rejection": {"key": "42", "reason": "…", "at": "…"}, "packed": ["…"]}}

Readers find neither this document nor the version before it. It contains all registers and images (compressed, as
text). The next change builds the whole document from them and tries the index again. If the small document is rejected
as well, the longest images are left out. The document then stays rejected until changes or a repair have brought all of
them back.
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
"""Kinds of documents: one that readers find, one whose root row is deleted or unknown, and a rejected one."""

DOCUMENTS = (VISIBLE, HIDDEN, REJECTED)

RESERVED = f"{METADATA_FIELD}:"
"""Prefix of the ids of metadata documents."""

_REJECTED_SOURCE = b'{"%b":{"kind":"%b"' % (METADATA_FIELD.encode(), REJECTED.encode())

_HASHED = f"{RESERVED}key:"

_LONGEST_ID = 512
"""Maximum length of an Elasticsearch id, in bytes."""


class RefusedDocument(msgspec.Struct, frozen=True):
    """Reason and time of a document's rejection by the index.

    Args:
        at: time in ISO 8601.
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
    """Decoded content of a stored document.

    Args:
        is_damaged: the document was changed by another program, so that its content does not match its registers.
        refused: the rejection of a rejected document, whose changes may lack images.
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
"""In characters. Elasticsearch's parser rejects a string longer than about ten million."""


def document_id(key: str) -> str:
    """Return the id of the document with this key: the key itself, so that a reader can GET it.

    A key is hashed if it is empty, is longer than an id may be, or begins like an id of the sink's own.
    """
    if key and not key.startswith(RESERVED) and len(key.encode()) <= _LONGEST_ID:
        return key
    return f"{_HASHED}{sha256(key.encode()).hexdigest()}"


def is_of_document(id_: str) -> bool:
    """Return whether an id belongs to a document, and not to the sink's metadata."""
    return not id_.startswith(RESERVED) or id_.startswith(_HASHED)


def is_rejected(source: bytes) -> bool:
    """Return whether a source is the replacement of a rejected document."""
    return source.startswith(_REJECTED_SOURCE)


def refused_document(source: bytes) -> RefusedDocument:
    """Read the rejection of a rejected document. The source may lack the other fields."""
    return _rejected.decode(source)[METADATA_FIELD].rejection


class DocumentCodec:
    """Codec between documents of one shape and their `_source`."""

    def __init__(self, shape: DocumentShape) -> None:
        self._shape = shape
        tables = {ROOT: shape.columns, **shape.collections}
        self._json = {name: _json_columns(columns) for name, columns in tables.items()}

    def encode(self, parts: Parts) -> bytes:
        """Return a document as one line of JSON."""
        content = render(parts, self._shape)
        if content is not None and is_unreadable(content):
            return self._write_sheltered(parts)
        return _line(content, parts, _shown(parts))

    def encode_json_as_text(self, source: bytes) -> bytes | None:
        """Return a document with its JSON columns as text; None if that changes nothing."""
        written = self._write_sheltered(self.decode(source).parts)
        return None if written == source else written

    def encode_rejected(self, parts: Parts, refused: RefusedDocument, longest_bytes: int | None = None) -> bytes:
        """Return the replacement for a document that the index rejects.

        Args:
            longest_bytes: the limit for all images together, above which the longest are left out; None for no limit.
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
        """Read the output of `encode` or `encode_rejected`, which another program may have changed."""
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
        """Return the visible images: the root's, and per collection those of its living parts, in order of part."""
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
    """Join the visible content and the metadata into one line.

    Args:
        exact: per part, the change whose image is in the content unchanged.
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
    # A line break outside a string is only whitespace in JSON, but it would end the line in a bulk request.
    line = content.replace("\n", " ") if "\n" in content else content
    return b'%b,"%b":%b}' % (line[:-1].encode(), METADATA_FIELD.encode(), kept)


def _texts_of(parts: Parts) -> Texts:
    return [(part, text_of(register)) for part, register in parts.items()]


def _shown(parts: Parts) -> dict[str, Change | None]:
    return {part: register.visible for part, register in parts.items()}


def _without_missing_images(known: Parts, *, is_damaged: bool) -> DecodedDocument:
    """Return the registers without the changes whose images are missing."""
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
    return tuple(name for name, text in columns.items() if parse_pg_type(text).name in ("json", "jsonb", "hstore"))
