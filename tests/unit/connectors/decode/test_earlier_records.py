"""Tests of records older than a column or than its type: they decode to the value recorded for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from connectors.decode.column_plan import constant
from connectors.decode.decoder import DecodedBatch
from connectors.envelope import EarlierRecords, SourceTable, ValueEncoding
from connectors.errors import MissingColumn
from tests.unit.connectors.decode.change_records import (
    COLUMNS,
    ORDERS,
    ROW,
    change,
    decode,
    envelope_schema,
    framed,
    inserted,
    rows,
)
from tests.unit.connectors.decode.test_json_table import bare

EARLIER = EarlierRecords({"channel": "web"}, {0: 1})
WIDER = SourceTable(ORDERS.table, {**ORDERS.columns, "channel": "text"}, earlier=EARLIER)
WITH_CHANNEL = {**ROW, "channel": "app"}


def decoded_json(*envelopes: Any, table: SourceTable = WIDER) -> DecodedBatch:
    return decode([bare(envelope) for envelope in envelopes], replace(table, format=ValueEncoding.JSON), {})


def channels(decoded: DecodedBatch) -> list[Any]:
    assert decoded.rejected == []
    return [row["after"]["channel"] for row in rows(decoded)]


def test_a_record_from_before_a_column_reads_as_its_missing_value() -> None:
    decoded = decoded_json(inserted(), change("c", after=WITH_CHANNEL))
    assert sorted(channels(decoded)) == ["app", "web"]
    assert {"channel": "not sent"} in decoded.substituted


def test_both_images_of_an_earlier_record_read_so_in_avro_as_in_json() -> None:
    earlier = change("u", before=ROW, after={**ROW, "status": "sent"})
    avro = decode([framed(earlier)], WIDER)
    assert rows(avro) == rows(decoded_json(earlier))
    assert rows(avro)[0]["before"]["channel"] == "web"


def test_a_later_record_that_lacks_the_column_stops_the_worker_with_the_remedy() -> None:
    with pytest.raises(MissingColumn, match="no longer sent with channel") as stopped:
        decoded_json(change("c", after=WITH_CHANNEL), inserted())
    assert "readmodels replay all --execute" in stopped.value.remedy


def test_a_partition_without_a_recorded_offset_has_no_earlier_records() -> None:
    with pytest.raises(MissingColumn):
        decoded_json(inserted(), table=replace(WIDER, earlier=EarlierRecords({"channel": "web"}, {})))


def test_a_record_with_the_column_in_another_type_reads_as_the_recorded_value() -> None:
    wider = {**COLUMNS, "channel": "int"}
    schemas: Mapping[int, Any] = {7: envelope_schema(wider)}
    old = framed(change("c", after={**ROW, "channel": 7}), schema=schemas[7])
    decoded = decode([old], WIDER, schemas)
    assert channels(decoded) == ["web"]
    assert decoded.substituted == [{"channel": "sent as int"}]


def test_a_decimal_from_before_a_wider_scale_has_the_new_one() -> None:
    wider = SourceTable(ORDERS.table, {**ORDERS.columns, "total": "numeric(14,4)"})
    assert [row["after"]["total"] for row in rows(decoded_json(inserted(), table=wider))] == ["12.3000"]


@pytest.mark.parametrize(
    ("kind", "value", "read"),
    [
        ("text", None, None),
        ("boolean", True, True),
        ("bigint", 5, 5),
        ("numeric(12,2)", "1.50", "1.50"),
        ("jsonb", '{"a": 1}', '{"a": 1}'),
        ("text[]", ["a"], ["a"]),
    ],
)
def test_a_missing_value_is_recorded_in_the_form_of_json_records(kind: str, value: Any, read: Any) -> None:
    assert constant("one", kind, value).as_py() == read
