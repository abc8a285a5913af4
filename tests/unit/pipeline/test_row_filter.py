"""Tests of filters that are refused, with the position of the mistake."""

from __future__ import annotations

import pytest

from pipeline.row_filter import Condition, InvalidFilter, ValueKind, parse_filter

COLUMNS = {
    "id": "bigint",
    "status": "text",
    "at": "timestamp with time zone",
    "f": "real",
    "tags": "text[]",
    "b": "boolean",
}


def test_conditions_are_parsed_once_against_the_types_of_the_columns() -> None:
    assert parse_filter("  status IN ('it''s', 'b') and \"at\" is not null", COLUMNS) == (
        Condition("status", ValueKind.TEXT, "in", ("it's", "b")),
        Condition("at", None, "is not null"),
    )
    assert parse_filter(" ", COLUMNS) == ()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("state = 'x'", "character 1: expected a column of the table, found `state = 'x'`"),
        ("status = 5", "character 10: expected a text such as 'new', found `5`"),
        ("status = new", "character 10: expected a text such as 'new', found `new`"),
        ("status < 'b'", "character 1: expected =, <> or in: status has an order that depends on the database"),
        ("id = 1.5", "character 6: expected an integer of 64 bits"),
        ("id = 9223372036854775808", "character 6: expected an integer of 64 bits"),
        ("id = null", "character 6: expected an integer of 64 bits, found `null`"),
        ("id like 1", "character 4: expected =, <>"),
        ("id = 1 or id = 2", "character 8: expected and, found `or id = 2`"),
        ("id = 1 and", "character 11: expected a column, found the end"),
        ("id in (1, 2", "character 12: expected , or \\), found the end"),
        ("id in ()", "character 8: expected an integer"),
        ("status = 'new", "character 10: expected a value"),
        ("at > '2026-01-31T12:00:00'", "character 6: expected a time with its zone"),
        ("f = 1.5", "values of type real cannot be compared"),
        ("tags is null", "tags is an array"),
        ("b = 'true'", "character 5: expected true or false"),
        ("id = 1; drop table orders", "character 7: expected and, found `; drop table orders`"),
    ],
)
def test_a_filter_that_cannot_be_evaluated_is_refused_at_its_place(text: str, complaint: str) -> None:
    with pytest.raises(InvalidFilter, match=complaint):
        parse_filter(text, COLUMNS)
