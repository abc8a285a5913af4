"""Tests of decoding good and bad JSON change records."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from connectors.decode.decoder import DecodedBatch
from connectors.decode.sequence import parse_lsns
from connectors.envelope import SourceTable, ValueEncoding
from connectors.errors import MissingBeforeImage, MissingColumn, SourceContractViolation, WireTypeRefused
from tests.unit.connectors.decode.change_records import (
    ORDERS,
    ROW,
    change,
    decode,
    framed,
    inserted,
    offsets,
    reasons,
    rows,
)

JSON_ORDERS = SourceTable(ORDERS.table, ORDERS.columns, ValueEncoding.JSON)

CONNECT_COLUMNS: Mapping[str, Mapping[str, Any]] = {
    "id": {"type": "int64"},
    "status": {"type": "string"},
    "total": {"type": "string"},
    "note": {"type": "string"},
    "created_at": {"type": "string", "name": "io.debezium.time.ZonedTimestamp"},
}


def bare(envelope: Any) -> bytes:
    return json.dumps(envelope, ensure_ascii=False).encode()


def described(envelope: Any, columns: Mapping[str, Mapping[str, Any]] = CONNECT_COLUMNS) -> bytes:
    value = {"type": "struct", "fields": [{**kind, "field": name} for name, kind in columns.items()]}
    schema = {"type": "struct", "fields": [{**value, "field": "before"}, {**value, "field": "after"}]}
    return json.dumps({"schema": schema, "payload": envelope}, ensure_ascii=False, separators=(",", ":")).encode()


def decode_json(*values: bytes | None, table: SourceTable = JSON_ORDERS) -> DecodedBatch:
    return decode(values, table, {})


@pytest.mark.parametrize("write", [bare, described])
def test_json_gives_the_same_envelopes_as_avro(write: Any) -> None:
    changes = [inserted(), change("u", before=ROW, after={**ROW, "note": None}), change("d", before=ROW), change("t")]
    decoded = decode_json(*map(write, changes))
    assert decoded.rejected == []
    assert rows(decoded) == rows(decode([framed(envelope) for envelope in changes]))
    assert decoded.envelopes[0].schema == decode([framed(inserted())]).envelopes[0].schema


def test_records_with_and_without_schema_may_follow_each_other() -> None:
    wider = {**CONNECT_COLUMNS, "extra": {"type": "int32"}}
    values = [
        bare(inserted()),
        described(inserted()),
        None,
        described(inserted(extra=1), wider),
        bare(inserted(extra=1)),
    ]
    decoded = decode_json(*values)
    assert sorted(offsets(decoded)) == [0, 1, 3, 4]
    assert (decoded.rejected, decoded.tombstones) == ([], 1)
    assert all(row["after"] == rows(decoded)[0]["after"] for row in rows(decoded))


BAD = {
    "empty": b"",
    "cut short": bare(inserted())[:-1],
    "with a byte too many": bare(inserted()) + b"}",
    "with a literal NaN": bare(inserted()).replace(b"42", b"NaN"),
    "not UTF-8": bare(inserted()).replace("ü".encode(), b"\xff"),
    "nested without end": b'{"op":' + b"[" * 100_000,
    "an array": b"[]",
    "a text": b'"c"',
    "without a source": bare({"op": "c", "after": ROW}),
    "with a number for its operation": bare({**inserted(), "op": 1}),
    "with an LSN beyond 64 bits": bare(change("c", after=ROW, lsn=2**70)),
    "with a text for a row": bare({**inserted(), "after": "row"}),
    "with a text for an id": bare(inserted(id="42")),
    "with a fraction for an id": bare(inserted(id=42.5)),
    "with an id beyond 64 bits": bare(inserted(id=2**70)),
    "with a number for a text": bare(inserted(status=1)),
    "with a number for a price": bare(inserted(total=12.3)),
    "with a schema cut short": described(inserted())[:100],
    "with a payload cut short": described(inserted())[:-2],
    "with a schema that is none": b'{"schema":{"fields":[1]},"payload":' + bare(inserted()) + b"}",
    "with a schema and no payload": b'{"schema":{"type":"struct"}}',
    "with more than a schema and a payload": described(inserted())[:-1] + b',"extra":1}',
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
def test_a_bad_record_is_rejected_and_its_neighbours_are_not(bad: bytes) -> None:
    decoded = decode_json(bare(inserted()), bad, described(inserted()))
    assert list(reasons(decoded)) == [1]
    assert sorted(offsets(decoded)) == [0, 2]


def test_no_reason_repeats_a_value_of_the_row() -> None:
    decoded = decode_json(bare(inserted(id="secret")), bare({**inserted(), "after": "secret"}), bare({"op": "secret"}))
    assert len(decoded.rejected) == 3
    assert not any("secret" in reason for reason in reasons(decoded).values())


@pytest.mark.parametrize("write", [bare, described])
def test_a_declared_column_that_is_not_sent_is_never_read_as_null(write: Any) -> None:
    table = SourceTable(ORDERS.table, {**ORDERS.columns, "weight": "integer"}, ValueEncoding.JSON)
    with pytest.raises(MissingColumn, match="without weight"):
        decode_json(write(inserted()), table=table)


def test_a_stray_record_without_our_columns_breaks_no_contract() -> None:
    decoded = decode_json(bare(inserted()), bare(change("c", after={"id": 1}, table="order_items")))
    assert reasons(decoded) == {1: "a change to another table than public.orders"}
    assert offsets(decoded) == [0]


def test_a_column_described_in_a_form_that_does_not_carry_its_type_stops() -> None:
    columns = {**CONNECT_COLUMNS, "total": {"type": "float"}}
    with pytest.raises(WireTypeRefused, match=r"total numeric\(12,2\): sent as float"):
        decode_json(described(inserted(total=12.3), columns))


def test_a_change_without_the_row_before_it_stops() -> None:
    with pytest.raises(MissingBeforeImage):
        decode_json(bare(change("u", after=ROW)))


def test_an_id_beyond_what_doubles_hold_is_exact() -> None:
    (row,) = rows(decode_json(bare(inserted(id=2**53 + 1))))
    assert row["after"]["id"] == 2**53 + 1


@pytest.mark.parametrize(
    ("spoiled", "told"),
    [
        (change("c", after={"id": 1}), "sent without"),
        (change("u", after=ROW), "without the row before it"),
        (change("c", after={**ROW, "total": "1.234"}), "column total: a numeric with more than the declared 2 digits"),
    ],
)
def test_a_record_that_breaks_the_contract_is_named_by_its_place(spoiled: Any, told: str) -> None:
    with pytest.raises(SourceContractViolation, match=told) as caught:
        decode_json(*[bare(inserted())] * 5, bare(spoiled), bare(inserted()))
    assert str(caught.value).startswith("cdc.public.orders/0 offset 5: ")
    assert "`readmodels " in caught.value.remedy


def test_a_record_that_breaks_a_library_is_rejected_by_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail_at_seven(sequences: Any) -> Any:
        if '["7","7"]' in sequences.to_pylist():
            raise KeyError(1)
        return parse_lsns(sequences)

    monkeypatch.setattr("connectors.decode.assemble.parse_lsns", fail_at_seven)
    forged = inserted()
    forged["source"] = {**forged["source"], "sequence": '["7","7"]'}
    decoded = decode_json(*[bare(inserted())] * 3, bare(forged), bare(inserted()))
    assert reasons(decoded) == {3: "KeyError while it was read"}
