"""Tests of decoding good and bad Avro change records."""

import datetime
import json
import struct
import sys
from types import FrameType
from typing import Any

import numpy as np
import pytest

from connectors.decode.decoder import Decoder
from connectors.envelope import SourceTable
from connectors.errors import MissingBeforeImage, MissingColumn, UnknownSchema, WireTypeRefused
from connectors.records import RecordBatch
from tests.unit.connectors.decode.change_records import (
    COLUMNS,
    ORDERS,
    ROW,
    TOPIC,
    MemorySchemas,
    batch,
    body,
    change,
    decode,
    envelope_schema,
    framed,
    inserted,
    offsets,
    reasons,
    rows,
)

GOOD = framed(inserted())


def test_a_change_becomes_an_envelope_with_its_images_and_its_place() -> None:
    decoded = decode([framed(change("u", before=ROW, after={**ROW, "note": None}))])
    assert decoded.rejected == []
    image = {
        "id": 42,
        "status": "paid",
        "total": "12.30",
        "note": "Grüße, 世界",
        "created_at": datetime.datetime(2026, 1, 2, 3, 4, 5, 6, datetime.UTC),
    }
    assert rows(decoded) == [
        {
            "partition": 0,
            "offset": 0,
            "op": "u",
            "snapshot": False,
            "commit_lsn": 24023119,
            "lsn": 24023128,
            "committed_at": datetime.datetime(2026, 1, 2, 3, 4, 5, 6007, datetime.UTC),
            "before": image,
            "after": image | {"note": None},
        }
    ]


def test_a_record_cut_short_anywhere_is_rejected_and_its_neighbours_are_not() -> None:
    cut = [GOOD[:length] for length in range(1, len(GOOD))]
    values = [value for bad in cut for value in (GOOD, bad)] + [GOOD]
    decoded = decode(values)
    assert set(reasons(decoded)) == set(range(1, 2 * len(cut), 2))
    assert offsets(decoded) == list(range(0, 2 * len(cut) + 1, 2))
    assert all(row["after"]["note"] == ROW["note"] for row in rows(decoded))


def test_nothing_is_read_beyond_the_last_record_of_a_batch() -> None:
    numbers = {f"n{index}": "long" for index in range(60)}
    schema = envelope_schema({**COLUMNS, **numbers})
    value = framed(change("c", after={**ROW, **dict.fromkeys(numbers, 2**62)}), schema)
    for length in range(6, len(value), 41):
        decoded = decode([value, value[:length]], schemas={7: schema})
        assert list(reasons(decoded)) == [1]


def test_a_record_with_bytes_left_over_is_rejected_and_its_neighbours_are_not() -> None:
    decoded = decode([GOOD, GOOD + b"\0", GOOD, GOOD + GOOD[5:], GOOD])
    assert reasons(decoded) == dict.fromkeys((1, 3), "bytes are left over after the body")
    assert offsets(decoded) == [0, 2, 4]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", "the value is empty, but not null"),
        (b"\0\0\0", "the value of 3 bytes is too short to name a schema"),
        (b"\x01" + GOOD[1:], "the value names its schema by a GUID in a header, which is not supported"),
        (b"\x07" + GOOD[1:], "the value begins with byte 0x07, which is no known wire format"),
        (b'{"op":"c"}', "the value is JSON, but this topic is declared to hold Avro"),
    ],
)
def test_a_value_without_a_frame_is_rejected_and_its_neighbours_are_not(value: bytes, reason: str) -> None:
    decoded = decode([GOOD, value, GOOD])
    assert reasons(decoded) == {1: reason}
    assert offsets(decoded) == [0, 2]


def test_a_text_that_is_not_utf8_is_rejected_and_its_neighbours_are_not() -> None:
    decoded = decode([GOOD, GOOD.replace("ü".encode(), b"\xff\xfe"), GOOD])
    assert list(reasons(decoded)) == [1]
    assert offsets(decoded) == [0, 2]
    assert rows(decoded)[1]["after"] == rows(decode([GOOD]))[0]["after"]


def test_a_length_that_is_negative_or_enormous_is_rejected() -> None:
    at = GOOD.index(b"paid") - 1
    negative = GOOD[:at] + b"\x01" + GOOD[at + 1 :]
    enormous = GOOD[:at] + b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01" + GOOD[at + 1 :]
    decoded = decode([negative, GOOD, enormous])
    assert list(reasons(decoded)) == [0, 2]
    assert offsets(decoded) == [1]


def test_no_reason_repeats_a_value_of_the_row() -> None:
    decoded = decode([framed(inserted(total="secret")), framed(inserted(created_at="secret")), GOOD[:-1]])
    assert len(decoded.rejected) == 3
    assert not any("secret" in reason or "paid" in reason for reason in reasons(decoded).values())


def test_a_value_that_is_not_of_its_declared_type_rejects_its_record_only() -> None:
    decoded = decode([GOOD, framed(inserted(total="12,30")), framed(inserted(created_at="yesterday")), GOOD])
    assert reasons(decoded) == {
        1: "column total: not a number",
        2: "column created_at: not a date or time of ISO 8601",
    }
    assert offsets(decoded) == [0, 3]


def test_tombstones_are_counted_and_nothing_else() -> None:
    decoded = decode([None, GOOD, None])
    assert (decoded.tombstones, offsets(decoded), decoded.rejected) == (2, [1], [])


def test_a_batch_of_tombstones_or_of_nothing_has_no_envelopes() -> None:
    assert decode([None, None]).envelopes == decode([]).envelopes == []


def test_a_change_to_another_table_is_rejected() -> None:
    decoded = decode(
        [framed(change("c", after=ROW, table="order_items")), GOOD, framed(change("c", after=ROW, schema="other"))]
    )
    assert reasons(decoded) == dict.fromkeys((0, 2), "a change to another table than public.orders")


def test_a_record_of_another_schema_is_rejected() -> None:
    key = {"type": "record", "name": "Key", "fields": [{"name": "id", "type": "long"}]}
    decoded = decode(
        [framed({"id": 1}, key, 8), GOOD, framed("text", "string", 9)],
        schemas={7: envelope_schema(), 8: key, 9: "string"},
    )
    assert reasons(decoded) == {
        0: "schema 8: not the schema of an envelope",
        2: "schema 9: not the schema of an envelope",
    }


@pytest.mark.parametrize("op", ["m", "x", ""])
def test_an_unknown_operation_is_rejected(op: str) -> None:
    decoded = decode([framed(change(op, after=ROW)), GOOD])
    assert reasons(decoded) == {0: "an operation other than c, u, d, r and t"}


@pytest.mark.parametrize("op", ["c", "r", "u"])
def test_a_change_without_the_row_after_it_is_rejected(op: str) -> None:
    decoded = decode([framed(change(op, before=ROW)), GOOD])
    assert reasons(decoded) == {0: "an insert, update or snapshot row without its `after`"}


@pytest.mark.parametrize("op", ["u", "d"])
def test_a_change_without_the_row_before_it_stops_with_the_statement_to_run(op: str) -> None:
    after = None if op == "d" else ROW
    with pytest.raises(MissingBeforeImage, match=f"^{TOPIC}/0 offset 1: ") as caught:
        decode([GOOD, framed(change(op, after=after))])
    assert "ALTER TABLE public.orders REPLICA IDENTITY FULL" in caught.value.remedy


def test_a_truncation_has_neither_image() -> None:
    (row,) = rows(decode([framed(change("t"))]))
    assert (row["op"], row["before"], row["after"]) == ("t", None, None)


def test_a_declared_column_that_is_not_sent_is_never_read_as_null() -> None:
    table = SourceTable("public.orders", {**ORDERS.columns, "weight": "integer"})
    with pytest.raises(MissingColumn, match=r"public\.orders is sent without weight"):
        decode([GOOD], table)


def test_a_stray_record_without_our_columns_breaks_no_contract() -> None:
    other = envelope_schema({"id": "long"}, "cdc.public.order_items.Envelope")
    decoded = decode(
        [GOOD, framed(change("c", after={"id": 1}, table="order_items"), other, 8)],
        schemas={7: envelope_schema(), 8: other},
    )
    assert reasons(decoded) == {1: "a change to another table than public.orders"}
    assert offsets(decoded) == [0]


def test_a_column_sent_in_a_form_that_does_not_carry_its_type_stops() -> None:
    table = SourceTable("public.orders", {**ORDERS.columns, "status": "bigint"})
    with pytest.raises(WireTypeRefused, match=r"public\.orders\.status bigint: sent as string"):
        decode([GOOD], table)


def test_columns_that_are_not_declared_are_left_out() -> None:
    schema = envelope_schema({"extra": ["null", "double"], **COLUMNS, "last": {"type": "map", "values": "bytes"}})
    envelope = change("c", after={**ROW, "extra": 1.5, "last": {"a": b"b"}})
    (row,) = rows(decode([framed(envelope, schema)], schemas={7: schema}))
    assert list(row["after"]) == list(ORDERS.columns)


def test_images_have_the_declared_order_with_any_order_on_the_wire() -> None:
    schema = envelope_schema({name: COLUMNS[name] for name in reversed([*COLUMNS])})
    (table,) = decode([framed(inserted(), schema)], schemas={7: schema}).envelopes
    assert table.schema.field("after").type.names == list(ORDERS.columns)
    assert table["after"].to_pylist() == decode([GOOD]).envelopes[0]["after"].to_pylist()


@pytest.mark.parametrize(
    ("marker", "is_snapshot"),
    [
        ("true", True),
        ("first", True),
        ("first_in_data_collection", True),
        ("last_in_data_collection", True),
        ("last", True),
        ("incremental", False),
        ("false", False),
        (None, False),
    ],
)
def test_only_rows_of_a_whole_snapshot_are_marked_so(marker: str | None, is_snapshot: bool) -> None:
    (row,) = rows(decode([framed(change("r", after=ROW, snapshot=marker))]))
    assert row["snapshot"] is is_snapshot


@pytest.mark.parametrize(
    ("sequence", "lsn", "place"),
    [
        ('["24023119","24023128"]', 24023128, (24023119, 24023128)),
        ('[null,"24023128"]', 24023128, (24023128, 24023128)),
        ('["24023119","24023128"]', None, (24023119, 24023128)),
        ('["9223372036854775806","9223372036854775807"]', None, (2**63 - 2, 2**63 - 1)),
        (None, 24023128, (24023128, 24023128)),
    ],
)
def test_the_place_in_the_wal_is_the_sequence_s(sequence: str | None, lsn: int | None, place: tuple[int, int]) -> None:
    (row,) = rows(decode([framed(change("c", after=ROW, sequence=sequence, lsn=lsn))]))
    assert (row["commit_lsn"], row["lsn"]) == place


@pytest.mark.parametrize(
    "sequence", [None, "[]", '["1"]', "[null,null]", '["-1","-2"]', '["a","b"]', '["1","99999999999999999999"]']
)
def test_a_change_without_a_place_in_the_wal_is_rejected(sequence: str | None) -> None:
    decoded = decode([GOOD, framed(change("c", after=ROW, sequence=sequence, lsn=None))])
    assert list(reasons(decoded)) == [1]


def test_the_time_of_commit_is_read_in_milliseconds_where_there_is_no_better() -> None:
    (row,) = rows(decode([framed(change("c", after=ROW, ts_us=None))]))
    assert row["committed_at"] == datetime.datetime(2026, 1, 2, 3, 4, 5, 6000, datetime.UTC)


def test_a_schema_change_inside_a_batch_makes_a_table_per_schema() -> None:
    wider = envelope_schema({**COLUMNS, "extra": "long"})
    new = framed(change("c", after={**ROW, "extra": 1}), wider, 8)
    decoded = decode([GOOD, new, GOOD, new], schemas={7: envelope_schema(), 8: wider})
    assert [table["offset"].to_pylist() for table in decoded.envelopes] == [[0, 2], [1, 3]]
    assert decoded.envelopes[0].schema == decoded.envelopes[1].schema


def test_records_keep_their_partitions_and_offsets_when_partitions_are_interleaved() -> None:
    count = 50
    records = RecordBatch(
        TOPIC,
        np.arange(count, dtype=np.int32) % 3,
        np.arange(count, dtype=np.int64) * 2 + 10**12,
        [None] * count,
        [framed(inserted(id=n)) if n % 7 else b"bad" for n in range(count)],
    )
    decoded = Decoder({TOPIC: ORDERS}, MemorySchemas({7: envelope_schema()})).decode(records)
    (table,) = decoded.envelopes
    found = zip(*(table[name].to_pylist() for name in ("partition", "offset")), table["after"].to_pylist(), strict=True)
    expected = [(n % 3, n * 2 + 10**12, n) for n in range(count)]
    assert [(partition, offset, image["id"]) for partition, offset, image in found] == [
        place for place in expected if place[2] % 7
    ]
    assert [(r.partition, r.offset) for r in decoded.rejected] == [place[:2] for place in expected if not place[2] % 7]


def test_a_schema_is_asked_for_once() -> None:
    schemas = MemorySchemas({7: envelope_schema()})
    decoder = Decoder({TOPIC: ORDERS}, schemas)
    for _ in range(3):
        decoder.decode(batch([GOOD, GOOD]))
    assert schemas.asked == [7]


def test_an_unknown_schema_is_no_fault_of_the_record() -> None:
    with pytest.raises(UnknownSchema):
        decode([GOOD, framed(inserted(), schema_id=8)])


def test_a_schema_that_cannot_be_read_in_columns_gives_the_same_rows() -> None:
    table = SourceTable("public.orders", {**ORDERS.columns, "tags": "hstore"})
    schema = envelope_schema({**COLUMNS, "tags": ["null", {"type": "map", "values": ["null", "string"]}]})
    image = {**ROW, "tags": {"a": "1", "b": None}}
    values = [framed(change("c", after=image), schema), GOOD[:20], framed(change("d", before=image), schema)]
    decoded = decode(values, table, {7: schema})
    assert offsets(decoded) == [0, 2]
    assert list(reasons(decoded)) == [1]
    first, last = rows(decoded)
    assert json.loads(first["after"].pop("tags")) == image["tags"]
    assert first["after"] == rows(decode([GOOD]))[0]["after"]
    assert first["before"] is last["after"] is None


def test_arrays_of_any_length_and_in_several_blocks_are_read_in_order() -> None:
    table = SourceTable("public.orders", {**ORDERS.columns, "codes": "integer[]"})
    schema = envelope_schema({**COLUMNS, "codes": ["null", {"type": "array", "items": ["null", "int"]}]})
    lists = [None, [], [1], [1, None, 3], list(range(500)), list(range(5_000)), [7]]
    for batch_of in (lists, lists[:5]):
        values = [framed(change("c", after={**ROW, "codes": codes}), schema) for codes in batch_of]
        assert [row["after"]["codes"] for row in rows(decode(values, table, {7: schema}))] == batch_of
    one_block = b"\x04\x02\x02\x02\x04\x00"
    assert one_block in framed(change("c", after={**ROW, "codes": [1, 2]}), schema)
    # A block of one item, then one that gives its size in bytes, then the end.
    two_blocks = b"\x02\x02\x02\x01\x04\x02\x04\x00"
    value = framed(change("c", after={**ROW, "codes": [1, 2]}), schema).replace(one_block, two_blocks)
    assert rows(decode([value], table, {7: schema}))[0]["after"]["codes"] == [1, 2]


def python_calls(decoder: Decoder, values: list[bytes]) -> int:
    records = batch(values)
    calls = 0

    def count(_frame: FrameType, event: str, _argument: Any) -> None:
        nonlocal calls
        calls += event == "call"

    sys.setprofile(count)
    try:
        decoder.decode(records)
    finally:
        sys.setprofile(None)
    return calls


def test_no_record_costs_a_python_call() -> None:
    decoder = Decoder({TOPIC: ORDERS}, MemorySchemas({7: envelope_schema()}))
    some = [framed(change(op, before=None if op == "c" else ROW, after=None if op == "d" else ROW)) for op in "cud"]
    decoder.decode(batch(some))
    assert python_calls(decoder, some * 3_334) == python_calls(decoder, some * 10)


def test_a_body_is_read_to_its_last_byte_by_its_own_schema_only() -> None:
    narrower = envelope_schema({name: kind for name, kind in COLUMNS.items() if name != "note"})
    stray = struct.pack(">bI", 0, 7) + body(inserted(), narrower)
    decoded = decode([GOOD, stray, GOOD])
    assert list(reasons(decoded)) == [1]
    assert offsets(decoded) == [0, 2]
