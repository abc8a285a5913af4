"""Tests that old rows with values invented by Debezium are distinguished from complete ones."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from connectors.decode.decoder import Decoder
from connectors.decode.invented_values import lacks_old_row
from connectors.envelope import SourceTable, ValueEncoding
from connectors.records import RecordBatch
from tests.unit.connectors.decode.change_records import MemorySchemas

TOPIC = "cdc.public.wide"

SENT: Mapping[str, tuple[str, Any, Any]] = {
    "id": ("bigint", 1, 1),
    "small": ("smallint", 0, 1),
    "flag": ("boolean", False, True),
    "text": ("text", "", "t"),
    "amount": ("numeric(12,2)", "0.00", "1.50"),
    "number": ("numeric", "0", "2.5"),
    "real": ("real", 0.0, 1.0),
    "double": ("double precision", 0.0, 2.0),
    "time": ("time", 0, 3_720_000_000),
    "zoned": ("timetz", "00:00:00Z", "01:02:00Z"),
    "span": ("interval", "P0Y0M0DT0H0M0S", "P0Y0M1DT0H0M0S"),
    "bytes": ("bytea", "", "AQ=="),
    "mood": ("mood", "", "happy"),
    "fixed": ("char(4)", "", "ab  "),
    "null": ("integer", None, 5),
    "null_at": ("timestamptz", None, "2026-01-02T03:04:05.000000Z"),
    "null_list": ("integer[]", None, [1]),
    "filled": ("integer", 7, 7),
}
"""By column: its type, and the values of Debezium 3.6.1 for a row that was not logged and for one that was."""

COLUMNS = {name: kind for name, (kind, _, _) in SENT.items()}
INVENTED = {name: invented for name, (_, invented, _) in SENT.items()}
LOGGED = {name: logged for name, (_, _, logged) in SENT.items()}


def lacking(*befores: Mapping[str, Any], op: str = "d", key: str = "id", columns: Mapping[str, str] = COLUMNS) -> Any:
    source = {"schema": "public", "table": "wide", "lsn": 5, "sequence": '["1","5"]', "ts_ms": 1, "snapshot": "false"}
    values: list[bytes | None] = [
        json.dumps({"op": op, "before": before, "after": None if op == "d" else before, "source": source}).encode()
        for before in befores
    ]
    count = len(values)
    records = RecordBatch(TOPIC, np.zeros(count, np.int32), np.arange(count), [None] * count, values)
    tables = {TOPIC: SourceTable("public.wide", columns, ValueEncoding.JSON)}
    decoded = Decoder(tables, MemorySchemas({})).decode(records)
    assert decoded.rejected == []
    others = [name for name in columns if name != key]
    return pa.concat_arrays(
        [lacks_old_row(table, [key], others, {"filled"}) for table in decoded.envelopes]
    ).to_pylist()


def test_a_deletion_whose_old_row_was_invented_is_found() -> None:
    assert lacking(INVENTED, LOGGED, {**INVENTED, "filled": 9}) == [True, False, True]


def test_one_value_of_any_type_proves_that_the_old_row_was_logged() -> None:
    told = [name for name in SENT if name not in ("id", "filled")]
    assert lacking(*({**INVENTED, name: LOGGED[name]} for name in told)) == [False] * len(told)


def test_a_deletion_without_its_key_is_found() -> None:
    assert lacking({**INVENTED, "id": 0, "text": "of another index"}) == [True]


def test_a_table_that_is_all_key_loses_nothing() -> None:
    assert lacking({"id": 1}, columns={"id": "bigint"}) == [False]


def test_columns_that_all_have_defaults_prove_nothing() -> None:
    assert lacking({"id": 1, "filled": 7}, columns={"id": "bigint", "filled": "integer"}) == [True]


def test_only_deletions_are_found() -> None:
    assert lacking(INVENTED, op="u") == [False]
