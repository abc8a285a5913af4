"""Tests that the records of a real connector decode to the rows as PostgreSQL reads them."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from connectors.decode.decoder import DecodedBatch, Decoder
from connectors.envelope import ValueEncoding
from connectors.errors import InexactDecimal, WireTypeRefused
from connectors.types.numeric import DecimalPolicy
from tests.golden.catalogue import COLUMNS, VARIANTS
from tests.golden.recording import Recording, comparable, recording

NUMERICS = [name for name, kind in COLUMNS.items() if kind.startswith(("numeric", "money"))]


def decoded(recorded: Recording, decimals: DecimalPolicy = DecimalPolicy.EXACT) -> DecodedBatch:
    return Decoder({recorded.records.topic: recorded.table}, recorded, decimals).decode(recorded.records)


def without_times_of_day(variant: str) -> Recording:
    """Return a recording whose times of day are not declared."""
    recorded = recording(variant)
    times = [name for name, kind in recorded.table.columns.items() if kind.startswith("time") and "without" in kind]
    times = [name for name in times if not recorded.table.columns[name].startswith("timestamp")]
    columns = {name: kind for name, kind in recorded.table.columns.items() if name not in times}
    return replace(
        recorded,
        table=replace(recorded.table, columns=columns),
        changes=[(op, without(before, times), without(after, times)) for op, before, after in recorded.changes],
    )


def without(image: dict[str, Any] | None, columns: list[str]) -> dict[str, Any] | None:
    return image and {name: value for name, value in image.items() if name not in columns}


def changes(batch: DecodedBatch, recorded: Recording) -> list[tuple[Any, ...]]:
    (envelopes,) = batch.envelopes
    read = zip(envelopes["op"], envelopes["before"], envelopes["after"], strict=True)
    return [
        (op.as_py(), comparable(before, expected[1]), comparable(after, expected[2]))
        for (op, before, after), expected in zip(read, recorded.changes, strict=True)
    ]


def with_numbers(image: dict[str, Any] | None, number: Any) -> dict[str, Any] | None:
    """Convert an image's numerics to numbers, so that 1.1 equals 1.10; NaN stays text, because it equals nothing."""
    if image is None:
        return None

    def compared(value: Any) -> Any:
        if isinstance(value, list):
            return [compared(item) for item in value]
        return value if value in (None, "NaN") else number(value)

    return {name: compared(value) if name in NUMERICS else value for name, value in image.items()}


@pytest.mark.parametrize("variant", ["avro", "json", "json-bare"])
def test_every_type_is_read_as_postgresql_has_it(variant: str) -> None:
    recorded = recording(variant)
    batch = decoded(recorded)
    assert batch.rejected == []
    assert changes(batch, recorded) == recorded.changes
    assert batch.tombstones == 2


@pytest.mark.parametrize(
    ("variant", "number", "decimals"),
    [("avro-precise", Decimal, DecimalPolicy.EXACT), ("avro-double", float, DecimalPolicy.ALLOW_DOUBLE)],
)
def test_every_decimal_mode_gives_the_same_numbers(variant: str, number: Any, decimals: DecimalPolicy) -> None:
    recorded = recording(variant)
    batch = decoded(recorded, decimals)
    assert batch.rejected == []
    for read, expected in zip(changes(batch, recorded), recorded.changes, strict=True):
        for image, expected_image in zip(read[1:], expected[1:], strict=True):
            assert with_numbers(image, number) == with_numbers(expected_image, number)


def test_decimals_in_bytes_and_times_in_text_are_read_from_json() -> None:
    recorded = without_times_of_day("json-precise")
    batch = decoded(recorded)
    assert batch.rejected == []
    for read, expected in zip(changes(batch, recorded), recorded.changes, strict=True):
        for image, expected_image in zip(read[1:], expected[1:], strict=True):
            assert with_numbers(image, Decimal) == with_numbers(expected_image, Decimal)


def test_a_time_of_day_in_text_is_refused_because_it_cannot_represent_24_00() -> None:
    with pytest.raises(WireTypeRefused, match="a_time "):
        decoded(recording("json-precise"))


def test_decimals_in_doubles_are_refused_unless_allowed() -> None:
    with pytest.raises(InexactDecimal, match="a double"):
        decoded(recording("avro-double"))


def test_rows_of_a_snapshot_are_distinguished_from_streamed_changes() -> None:
    recorded = recording("avro")
    (envelopes,) = decoded(recorded).envelopes
    assert envelopes["snapshot"].to_pylist() == [op == "r" for op, *_ in recorded.changes]


def test_streamed_changes_follow_each_other_in_the_wal_and_snapshot_rows_share_a_place() -> None:
    (envelopes,) = decoded(recording("avro")).envelopes
    places = [(row["commit_lsn"], row["lsn"]) for row in envelopes.select(["commit_lsn", "lsn"]).to_pylist()]
    rows = len(VARIANTS["avro"].rows)
    assert len(set(places[:rows])) == 1
    assert places[0][0] == places[0][1]
    streamed = places[rows:]
    assert streamed == sorted(streamed)
    # The two halves of a key change are one entry of the WAL.
    assert len(set(streamed)) == len(streamed) - 1


def test_avro_on_a_topic_of_json_and_json_on_a_topic_of_avro_are_rejected() -> None:
    for variant, wrong in (
        ("avro", ValueEncoding.JSON),
        ("json", ValueEncoding.AVRO),
        ("json-bare", ValueEncoding.AVRO),
    ):
        recorded = recording(variant)
        batch = decoded(replace(recorded, table=replace(recorded.table, format=wrong)))
        assert batch.envelopes == []
        assert len(batch.rejected) == len(recorded.changes)
