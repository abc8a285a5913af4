"""Tests of JSON values as PostgreSQL compares them, beyond the number range and nesting of Python's parser."""

from __future__ import annotations

import pytest

from pipeline.verify.comparison_set import documents, tables
from pipeline.verify.difference import DifferenceKind, differences
from pipeline.verify.json_value import MAX_SHOWN_LENGTH, Malformed, format_json, json_equal, parsed
from tests.unit.sinks.ships import CONTRACT

DEPTHS = (500, 6_000)
HUGE = "9" * 5_000


def nested(depth: int, innermost: str = "1") -> str:
    return '{"a":[' * depth + innermost + "]}" * depth


@pytest.mark.parametrize("depth", DEPTHS)
def test_nesting_has_no_limit(depth: int) -> None:
    one, same, other = (parsed(nested(depth, number)) for number in ("1", "1.0", "2"))
    assert json_equal(one, same)
    assert not json_equal(one, other)
    assert format_json(one) == ('{"a": [' * MAX_SHOWN_LENGTH)[: MAX_SHOWN_LENGTH - 1] + "…"


@pytest.mark.parametrize(
    ("one", "same"),
    [
        ("1.10", "1.1"),
        ("-0", "0.00"),
        ("1e400", "10e399"),
        ("0.001", "1E-3"),
        (HUGE, HUGE + ".000"),
        (f"1e{HUGE}", f"10e{HUGE[:-1]}8"),
        ('{"a": 1, "b": 2, "a": 3}', '{"b":2,"a":3}'),
        (r'"\ud800"', r'"\uD800"'),
        (r'"\u00e9\/"', '"é/"'),
    ],
)
def test_values_that_jsonb_takes_for_equal_are_alike(one: str, same: str) -> None:
    for text in (one, nested(2_000, one)):
        assert json_equal(parsed(text), parsed(text.replace(one, same)))


@pytest.mark.parametrize(
    ("one", "other"),
    [("1", "true"), ("1", '"1"'), ("1", "-1"), (HUGE, HUGE[:-1] + "8"), ("[]", "{}"), ("[1]", "[1,1]"), ("null", "0")],
)
def test_other_values_are_not(one: str, other: str) -> None:
    assert not json_equal(parsed(one), parsed(other))
    assert not json_equal(parsed(nested(2_000, one)), parsed(nested(2_000, other)))


@pytest.mark.parametrize(
    "text", ["", "{", "[1,]", '{"a" 1}', "[1 2]", "{,}", "]", "1 2", "tru", "[}", r'"\q"', "NaN", "{1:2}", "01", "[1}"]
)
def test_malformed_json_is_refused_at_any_depth(text: str) -> None:
    for wrong in (text, nested(2_000, text) if text else "[" * 2_000):
        with pytest.raises(Malformed):
            parsed(wrong)


def test_a_value_is_shown_as_it_is_written() -> None:
    text = r'{"a": "\ud800é", "b": [1.10, true, null, {}]}'
    assert format_json(parsed(text)) == text
    assert format_json(parsed(f'"{"x" * 10_000_000}"')) == '"' + "x" * (MAX_SHOWN_LENGTH - 2) + "…"


@pytest.mark.parametrize("depth", DEPTHS)
def test_documents_and_rows_with_deep_values_are_compared_by_value(depth: int) -> None:
    (ships,) = documents(CONTRACT)
    rows = next(subject for subject in tables(CONTRACT) if subject.name == "ships")
    for subject, value in ((ships, "{}"), (rows, '"{}"')):
        held, same, other = (
            f'{{"flag":"PA","number":7,"name":null,"crew":{value.format(json)},"seen_at":null{rest}'
            for json, rest in (
                (quoted(nested(depth), value), "," + '"holds":[]}'),
                (quoted(nested(depth, "1.0"), value), ',"holds": []}'),
                (quoted(nested(depth, "2"), value), ',"holds":[]}'),
            )
        )
        assert differences(subject, "PA:7", held, same) == []
        assert [(one.kind, one.column) for one in differences(subject, "PA:7", held, other)] == [
            (DifferenceKind.DIFFERENT, "crew")
        ]


def quoted(json: str, value: str) -> str:
    return json.replace('"', r"\"") if value.startswith('"') else json
