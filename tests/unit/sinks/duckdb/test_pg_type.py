"""Tests of parsing types as PostgreSQL prints them."""

from __future__ import annotations

import pytest

from sinks.pg_type import PgType, parse_pg_type


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("bigint", PgType("bigint")),
        ("int8", PgType("bigint")),
        ("bigserial", PgType("bigint")),
        ("INTEGER", PgType("integer")),
        ("numeric", PgType("numeric")),
        ("numeric(12,2)", PgType("numeric", (12, 2))),
        ("decimal(5)", PgType("numeric", (5,))),
        ("numeric(3,-2)", PgType("numeric", (3, -2))),
        ("character varying(20)", PgType("varchar", (20,))),
        ("character(3)", PgType("char", (3,))),
        ("double precision", PgType("double precision")),
        ("float8", PgType("double precision")),
        ("timestamp with time zone", PgType("timestamptz")),
        ("timestamp(3) with time zone", PgType("timestamptz", (3,))),
        ("timestamp(0) without time zone", PgType("timestamp", (0,))),
        ("time without time zone", PgType("time")),
        ("time(6) with time zone", PgType("timetz", (6,))),
        ("bigint[]", PgType("bigint", is_array=True)),
        ("numeric(12,2)[]", PgType("numeric", (12, 2), is_array=True)),
        ("timestamp(3) with time zone[]", PgType("timestamptz", (3,), is_array=True)),
        ("text[][]", PgType("text", is_array=True)),
        ("status", PgType("status")),
    ],
)
def test_a_type_is_its_usual_name_and_its_arguments(text: str, expected: PgType) -> None:
    assert parse_pg_type(text) == expected


def test_a_text_that_is_not_a_type_is_kept() -> None:
    assert parse_pg_type("odd(1)(2)") == PgType("odd(1)(2)")
