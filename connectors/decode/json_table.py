"""Decoder of JSON envelopes as Connect's JSON converter writes them, with or without schemas."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
import numpy as np
import pyarrow as pa

from connectors.decode.column_plan import ColumnPlan, plan_columns
from connectors.decode.raw_envelope import SOURCE_FIELDS, RawEnvelopes, RawImage, RawValues
from connectors.envelope import SourceTable
from connectors.types.numeric import DecimalPolicy
from connectors.types.pg_types import parse_column_type
from connectors.types.wire_types import ConnectSchema, WireType, default_json, from_connect

_WITH_SCHEMA = b'{"schema":'
_BARE = b""

_Long = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


class _Source(msgspec.Struct, gc=False):
    schema: str
    table: str
    snapshot: str | None = None
    sequence: str | None = None
    lsn: _Long | None = None
    ts_us: _Long | None = None
    ts_ms: _Long | None = None


class _Described(msgspec.Struct, gc=False):
    schema: msgspec.Raw
    payload: msgspec.Raw


@dataclass(frozen=True, eq=False)
class _JsonLayout:
    """One layout of a topic's values: the bytes before every envelope, and the wire types of its columns."""

    prefix: bytes
    wires: Mapping[str, WireType]


class JsonTableDecoder:
    """Decoder of one table's envelopes from the values of its topic."""

    schema_ids: frozenset[int] = frozenset()

    def __init__(self, table: SourceTable, decimals: DecimalPolicy) -> None:
        self._table = table
        self._decimals = decimals
        columns = list(table.columns)
        self._whole = msgspec.json.Decoder(_envelope_type(columns, msgspec.NODEFAULT))
        self._partial = msgspec.json.Decoder(_envelope_type(columns, msgspec.UNSET))
        self._described = msgspec.json.Decoder(_Described)
        wires = {name: default_json(parse_column_type(text)) for name, text in table.columns.items()}
        self._forms = [_JsonLayout(_BARE, wires)]
        self._plans: dict[tuple[_JsonLayout, frozenset[str]], ColumnPlan] = {}

    def read(self, values: list[bytes | None]) -> RawValues:
        """Decode a batch, one layout after the other."""
        faults: dict[int, str] = {}
        found: dict[tuple[_JsonLayout, frozenset[str]], dict[int, Any]] = {}
        for row, value in enumerate(values):
            if value is None:
                continue
            try:
                form = self._form(value)
                body = memoryview(value)[len(form.prefix) : -1] if form.prefix else value
                envelope, missing = self._envelope(body)
            except msgspec.ValidationError as error:
                faults[row] = f"not an envelope: {error}"
            except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
                faults[row] = "not well-formed JSON" if value else "the value is empty, but not null"
            else:
                found.setdefault((form, missing), {})[row] = envelope
        sent = [(_sent(envelopes, self._table), self._plan(*form)) for form, envelopes in found.items()]
        return RawValues(sent, faults, sum(value is None for value in values))

    def _envelope(self, body: bytes | memoryview) -> tuple[Any, frozenset[str]]:
        """Decode an envelope, and return the declared columns that one of its images lacks."""
        try:
            return self._whole.decode(body), frozenset()
        except msgspec.ValidationError:
            envelope = self._partial.decode(body)
            return envelope, _lacking(envelope, self._table)

    def _plan(self, form: _JsonLayout, missing: frozenset[str]) -> ColumnPlan:
        if (form, missing) not in self._plans:
            wires = {name: wire for name, wire in form.wires.items() if name not in missing}
            self._plans[form, missing] = plan_columns(self._table, wires, self._decimals)
        return self._plans[form, missing]

    def _form(self, value: bytes) -> _JsonLayout:
        """Return the layout of a value by its prefix, because a schema has the same bytes in every record."""
        if not value.startswith(_WITH_SCHEMA):
            return self._forms[0]
        for form in self._forms[1:]:
            if value.startswith(form.prefix):
                return form
        described = self._described.decode(value)
        prefix = _WITH_SCHEMA + bytes(described.schema) + b',"payload":'
        if value != prefix + bytes(described.payload) + b"}":
            raise msgspec.ValidationError("not as Connect writes a schema and a payload")
        form = _JsonLayout(prefix, _wires(msgspec.json.decode(described.schema, type=ConnectSchema)))
        self._forms.append(form)
        return form


def _envelope_type(columns: list[str], default: Any) -> type[msgspec.Struct]:
    """Return the type of envelopes whose images have these columns, with `default` for missing ones."""
    names = [f"column_{n}" for n in range(len(columns))]
    image = msgspec.defstruct(
        "Image",
        [(name, Any, msgspec.field(default=default)) for name in names],
        rename=dict(zip(names, columns, strict=True)),
        gc=False,
    )
    return msgspec.defstruct(
        "Envelope",
        [("op", str), ("source", _Source), ("before", image | None, None), ("after", image | None, None)],
        gc=False,
    )


def _wires(envelope: ConnectSchema) -> dict[str, WireType]:
    """Return the wire types of the columns that an envelope's schema describes."""
    images = [field for field in envelope.fields if field.field == "after"]
    return {column.field: from_connect(column) for image in images for column in image.fields if column.field}


def _images(envelope: Any) -> list[tuple[Any, ...]]:
    return [msgspec.structs.astuple(image) for image in (envelope.before, envelope.after) if image is not None]


def _lacking(envelope: Any, table: SourceTable) -> frozenset[str]:
    """Return the columns that are not sent. JSON without a schema shows this only when the record is read."""
    return frozenset(
        name
        for image in _images(envelope)
        for name, value in zip(table.columns, image, strict=True)
        if value is msgspec.UNSET
    )


def _sent(envelopes: Mapping[int, Any], table: SourceTable) -> RawEnvelopes:
    sources = [envelope.source for envelope in envelopes.values()]
    return RawEnvelopes(
        rows=np.fromiter(envelopes, np.int64, len(envelopes)),
        op=pa.array([envelope.op for envelope in envelopes.values()], pa.string()),
        source={
            name: pa.array([getattr(source, name) for source in sources], kind) for name, kind in SOURCE_FIELDS.items()
        },
        before=_image([envelope.before for envelope in envelopes.values()], table),
        after=_image([envelope.after for envelope in envelopes.values()], table),
        faults={},
    )


def _image(images: list[Any], table: SourceTable) -> RawImage:
    absent = (None,) * len(table.columns)
    rows = [absent if image is None else msgspec.structs.astuple(image) for image in images]
    present = np.array([image is not None for image in images], bool)
    return RawImage(present, dict(zip(table.columns, map(list, zip(*rows, strict=True)), strict=True)))
