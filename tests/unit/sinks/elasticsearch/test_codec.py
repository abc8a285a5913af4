"""Tests that Elasticsearch stores of a document what the next merge needs, to the last digit."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinks.elasticsearch.codec import DecodedDocument, DocumentCodec, document_id
from sinks.ordering.document import Parts, is_visible, render
from sinks.ordering.register import Change, Register
from sinks.shape import DocumentShape

SHAPE = DocumentShape(
    "orders",
    {"id": "bigint", "note": "text", "address": "jsonb"},
    {"items": {"sku": "text", "facts": "json"}, "visits": {"at": "timestamptz"}},
)
FORMAT = DocumentCodec(SHAPE)

JSON_VALUES = [
    "1e400", "-0.1000000000000000055", "12345678901234567890123", "null", '"é\\u2028\\"\\\\|"', "[]", "{}",
    '{"":{"a.b":[1,{"a":2}]}}', "[" * 700 + "]" * 700,
]  # fmt: skip
images = st.builds(
    lambda number, text, value: f'{{"id":{number},"note":{json.dumps(text)},"address":{value}}}',
    st.integers(-(2**63), 2**63 - 1),
    st.text(),
    st.sampled_from(JSON_VALUES),
)


@st.composite
def changes(draw: st.DrawFn) -> Change:
    """Draw a change anywhere in any epoch, with an image or without."""
    lsn = st.integers(0, 2**63 - 1)
    image = draw(st.none() | images)
    place = (draw(st.integers(0, 9)), draw(lsn), draw(lsn), draw(st.integers(0, 1)), draw(st.integers(-1, 2**63 - 1)))
    return Change(*place, draw(st.integers(0, 2**31 - 1)), image is None, image)


pairs = st.tuples(changes(), st.none()) | st.tuples(st.none() | changes(), changes())
registers = pairs.map(lambda sides: Register(*sides))
children = st.builds("{}/{}".format, st.sampled_from(["items", "visits"]), st.text(max_size=5))
documents = st.dictionaries(st.just("") | children, registers, min_size=1, max_size=5)


@given(documents)
def test_a_document_is_read_back_exactly(parts: Parts) -> None:
    assert FORMAT.decode(FORMAT.encode(parts)) == DecodedDocument(parts, is_damaged=False)


@given(documents)
def test_a_document_is_one_line_of_json_with_all_its_numbers(parts: Parts) -> None:
    line = FORMAT.encode(parts)
    assert b"\n" not in line
    content = json.loads(line, parse_float=Decimal)
    kind = content.pop("readmodels")["kind"]
    assert kind == ("visible" if is_visible(parts) else "hidden")
    seen = json.loads(render(parts, SHAPE) or "{}", parse_float=Decimal)
    assert _without_json(content) == _without_json(seen)


def _without_json(content: dict[str, Any]) -> dict[str, Any]:
    """Return the columns never converted to text; deep JSON is, in any column of its type."""
    items = [{name: value for name, value in item.items() if name != "facts"} for item in content.get("items", [])]
    return {**content, "items": items, "address": None}


@given(documents)
def test_a_document_of_an_earlier_version_is_read_which_named_members_after_parts(parts: Parts) -> None:
    source = msgspec.json.decode(FORMAT.encode(parts), type=dict[str, msgspec.Raw])
    kept = json.loads(bytes(source["readmodels"]))
    kept["registers"] = dict(kept["registers"])
    kept["images"] = {side: dict(pairs) for side, pairs in kept.pop("images", {}).items()}
    earlier = msgspec.json.encode({**source, "readmodels": kept})
    assert FORMAT.decode(earlier) == DecodedDocument(parts, is_damaged=False)


@given(documents)
def test_no_member_is_named_after_a_part(parts: Parts) -> None:
    """Check this because Elasticsearch's parser caches every name that it meets."""
    kept = json.loads(FORMAT.encode(parts))["readmodels"]
    assert kept.keys() <= {"kind", "registers", "images"}
    assert kept.get("images", {}).keys() <= {"streamed", "snapshot"}
    assert all(isinstance(pairs, list) for pairs in (kept["registers"], *kept.get("images", {}).values()))


@given(documents)
def test_a_sheltered_document_is_read_back_exactly_too(parts: Parts) -> None:
    source = FORMAT.encode(parts)
    sheltered = FORMAT.encode_json_as_text(source)
    assert sheltered is None or FORMAT.decode(sheltered).parts == parts
    assert sheltered is None or FORMAT.encode_json_as_text(sheltered) is None


def test_json_that_elasticsearch_cannot_read_is_shown_as_text() -> None:
    twice = '{"id":1,"note":"{","address":{"a" : 1,"a":[2]}}'
    sheltered = FORMAT.encode_json_as_text(FORMAT.encode({"": Register(_inserted(twice))}))
    assert sheltered is not None
    content = json.loads(sheltered)
    assert (content["note"], content["address"]) == ("{", '{"a" : 1,"a":[2]}')


def test_a_line_break_between_json_tokens_does_not_end_the_line() -> None:
    line = FORMAT.encode({"": Register(_inserted('{"id":1,"address":{\n"a":1}}'))})
    assert b"\n" not in line
    assert json.loads(line)["address"] == {"a": 1}


def test_an_image_is_kept_once() -> None:
    parts = {"": Register(_inserted('{"id":1}')), "items/7": Register(_inserted('{"sku":"unmistakable"}'))}
    assert FORMAT.encode(parts).count(b"unmistakable") == 1
    assert FORMAT.encode({"items/7": parts["items/7"]}).count(b"unmistakable") == 1


def _inserted(image: str) -> Change:
    return Change(0, 10, 11, 0, 5, 0, False, image)


ROOT_PART = {"": Register(_inserted('{"id":1}'))}
LIVING = {"items/7": Register(_inserted('{"sku":"x"}')), "items/8": Register(_inserted('{"sku":"y"}'))}
DEAD = {"items/9": Register(Change(0, 10, 11, 0, 5, 0, True))}


@pytest.mark.parametrize(
    "items", [b'[{"sku":"x"}]', b'[{"sku":"x"},{"sku":"y"},{"sku":"z"}]', b"[]", b'{"sku":"x"}', b"null"]
)
def test_items_that_do_not_match_their_registers_are_not_known_any_more(items: bytes) -> None:
    source = FORMAT.encode({**ROOT_PART, **LIVING, **DEAD})
    altered = source.replace(b'[{"sku":"x"},{"sku":"y"}]', items)
    assert altered != source
    assert FORMAT.decode(altered) == DecodedDocument({**ROOT_PART, **DEAD}, is_damaged=True)


def test_an_image_that_is_kept_apart_survives_the_loss_of_its_item() -> None:
    deep = '{"facts":' + "[" * 600 + "]" * 600 + "}"
    parts = {**ROOT_PART, "items/7": Register(_inserted(deep))}
    source = FORMAT.encode(parts)
    start, end = source.index(b'"items":[') + 9, source.index(b'],"readmodels"')
    assert FORMAT.decode(source[:start] + source[end:]) == DecodedDocument(parts, is_damaged=True)


def test_a_document_without_its_root_keeps_its_items() -> None:
    source = FORMAT.encode({**ROOT_PART, **LIVING})
    assert FORMAT.decode(source.replace(b'"id":1,', b"")) == DecodedDocument(LIVING, is_damaged=True)


@pytest.mark.parametrize(
    "source",
    [b"", b"[]", b"{}", b'{"id":1}', b'{"readmodels":{}}', b'{"readmodels":{"kind":"visible","registers":{"":"z"}}}'],
)
def test_a_foreign_document_decodes_to_nothing(source: bytes) -> None:
    assert FORMAT.decode(source) == DecodedDocument({}, is_damaged=True)


def test_a_hidden_part_without_its_image_is_not_known_any_more() -> None:
    source = FORMAT.encode({**LIVING, **DEAD})
    hollow = json.loads(source)
    images = hollow["readmodels"]["images"]
    images["streamed"] = [pair for pair in images["streamed"] if pair[0] != "items/7"]
    assert FORMAT.decode(json.dumps(hollow).encode()) == DecodedDocument(
        {"items/8": LIVING["items/8"], **DEAD}, is_damaged=True
    )


@given(st.text())
def test_any_key_has_an_id_of_its_own(key: str) -> None:
    assert 0 < len(document_id(key).encode()) <= 512
    assert (document_id(key) == key) != document_id(key).startswith("readmodels:key:")


def test_keys_that_cannot_be_ids_get_distinct_ids() -> None:
    keys = ["", "é" * 256, "é" * 257, "é" * 258, "readmodels:fences", "readmodels:progress:orders:0", document_id("")]
    assert len({document_id(key) for key in keys}) == len(keys)
    assert [key for key in keys if document_id(key) == key] == ["é" * 256]
