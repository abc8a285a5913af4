"""Tests of the comparison of two recordings, which ignores what is new in each."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.golden.cases import FORMATS
from tests.golden.catalogue import VARIANTS
from tests.golden.difference import differences, version
from tests.golden.recording import GOLDEN


def recorded(name: str) -> str:
    return GOLDEN.joinpath(f"{name}.jsonl").read_text()


def rewritten(change: Callable[[dict[str, Any]], object], topic: str = "golden.public.moved") -> str:
    """Return the JSON cases, with a change to the envelopes of one table."""
    head, *lines = [json.loads(line) for line in recorded("cases-json").splitlines()]
    for line in lines:
        if line["topic"] == topic and line["value"] is not None:
            envelope = json.loads(base64.b64decode(line["value"]))
            change(envelope)
            line["value"] = base64.b64encode(json.dumps(envelope).encode()).decode()
    return "\n".join(json.dumps(line) for line in (head, *lines))


@pytest.mark.parametrize("name", [*VARIANTS, *FORMATS])
def test_a_recording_does_not_differ_from_itself(name: str) -> None:
    assert differences(recorded(name), recorded(name)) == []
    assert version(recorded(name)).startswith("3.")


def test_places_times_and_versions_do_not_differ() -> None:
    def later(envelope: dict[str, Any]) -> None:
        source = envelope["source"]
        last, own = json.loads(source["sequence"])
        source |= {"lsn": source["lsn"] + 5, "ts_ms": 1, "txId": 2, "version": "9.9"}
        source["sequence"] = json.dumps([last and str(int(last) + 5), str(int(own) + 5)])
        envelope["ts_us"] = 3

    assert differences(recorded("cases-json"), rewritten(later)) == []


def test_a_field_that_is_new_gone_or_other_is_named_with_its_record() -> None:
    def other(envelope: dict[str, Any]) -> None:
        envelope["source"]["origin_id"] = 7
        del envelope["source"]["schema"]
        if envelope["op"] == "d":
            envelope["before"]["note"] = "invented"

    told = differences(recorded("cases-json"), rewritten(other))
    assert "golden.public.moved, record 1: value.source.origin_id is new, 7" in told
    assert "golden.public.moved, record 1: value.source.schema is gone, was 'public'" in told
    assert "golden.public.moved, record 4: value.before.note: 'first' → 'invented'" in told


def test_another_order_of_lsns_differs() -> None:
    def reversed_(envelope: dict[str, Any]) -> None:
        envelope["source"]["lsn"] = -envelope["source"]["lsn"]

    assert any("value.source.lsn" in line for line in differences(recorded("cases-json"), rewritten(reversed_)))


def test_a_record_that_is_missing_differs() -> None:
    lines = recorded("cases-json").splitlines()
    without = "\n".join(line for line in lines if '"golden.public.composites"' not in line)
    assert differences(recorded("cases-json"), without) == ["golden.public.composites: gone"]


def test_another_type_in_a_schema_is_named_by_its_path() -> None:
    head, *lines = recorded("cases-avro").splitlines()
    other = head.replace('{"name":"order_id","type":"long"}', '{"name":"order_id","type":"int"}')
    assert other != head
    told = differences(recorded("cases-avro"), "\n".join((other, *lines)))
    assert "golden.public.defaulted, schema 1: before.order_id.type: 'long' → 'int'" in told
