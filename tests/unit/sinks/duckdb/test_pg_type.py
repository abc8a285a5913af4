"""Types as PostgreSQL prints them, taken apart."""

from __future__ import annotations

import pytest

from sinks.pg_type import ColumnType, parse


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("bigint", ColumnType("bigint")),
        ("int8", ColumnType("bigint")),
        ("bigserial", ColumnType("bigint")),
        ("INTEGER", ColumnType("integer")),
        ("numeric", ColumnType("numeric")),
        ("numeric(12,2)", ColumnType("numeric", (12, 2))),
        ("decimal(5)", ColumnType("numeric", (5,))),
        ("numeric(3,-2)", ColumnType("numeric", (3, -2))),
        ("character varying(20)", ColumnType("varchar", (20,))),
        ("character(3)", ColumnType("char", (3,))),
        ("double precision", ColumnType("double precision")),
        ("float8", ColumnType("double precision")),
        ("timestamp with time zone", ColumnType("timestamptz")),
        ("timestamp(3) with time zone", ColumnType("timestamptz", (3,))),
        ("timestamp(0) without time zone", ColumnType("timestamp", (0,))),
        ("time without time zone", ColumnType("time")),
        ("time(6) with time zone", ColumnType("timetz", (6,))),
        ("bigint[]", ColumnType("bigint", is_array=True)),
        ("numeric(12,2)[]", ColumnType("numeric", (12, 2), is_array=True)),
        ("timestamp(3) with time zone[]", ColumnType("timestamptz", (3,), is_array=True)),
        ("text[][]", ColumnType("text", is_array=True)),
        ("status", ColumnType("status")),
    ],
)
def test_a_type_is_its_usual_name_and_its_arguments(text: str, expected: ColumnType) -> None:
    assert parse(text) == expected


def test_what_does_not_look_like_a_type_keeps_its_text() -> None:
    assert parse("odd(1)(2)") == ColumnType("odd(1)(2)")
