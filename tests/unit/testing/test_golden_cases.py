"""Tests of a real connector's records in the cases that its readers must know, as recorded in either format."""

from __future__ import annotations

from typing import Any

import pytest

from tests.golden.cases import FORMATS, TABLES
from tests.golden.recording import Cases, cases

UNAVAILABLE = "__debezium_unavailable_value"
Envelope = dict[str, Any]


@pytest.fixture(scope="module", params=FORMATS)
def recorded(request: pytest.FixtureRequest) -> Cases:
    return cases(request.param)


def changes(recorded: Cases, table: str) -> list[Envelope]:
    """Return the envelopes of a table, without tombstones."""
    return [envelope for envelope in recorded.envelopes(table) if envelope is not None]


def ops(recorded: Cases, table: str) -> str:
    """Return the operations on a table, a letter each; a tombstone is a dash."""
    return "".join("-" if envelope is None else envelope["op"] for envelope in recorded.envelopes(table))


def sequence(envelope: Envelope) -> tuple[int | None, int]:
    """Return the halves of a sequence: the last commit LSN, and the change's own LSN."""
    last, own = (part.strip('" ') for part in envelope["source"]["sequence"].strip("[]").split(","))
    return None if last == "null" else int(last), int(own)


def keys(recorded: Cases, table: str) -> list[str | None]:
    return [record.key for record in recorded.of(table)]


def test_every_table_has_records(recorded: Cases) -> None:
    assert all(recorded.of(table) for table in TABLES)


def test_every_kind_of_change_is_there(recorded: Cases) -> None:
    seen = {envelope["op"] for table in (*TABLES, "message") for envelope in changes(recorded, table)}
    assert seen == set("crudtm")


def test_without_the_whole_old_row_an_update_has_none_and_a_deletion_invents_one(recorded: Cases) -> None:
    _, updated, moved, _, deleted = changes(recorded, "defaulted")
    assert updated["before"] is None
    for invented in (moved["before"], deleted["before"]):
        assert (invented["order_id"], invented["sku"], invented["quantity"]) == (0, "", 0)
        assert (invented["total"], invented["created"]) == ("9.99", "1970-01-01T00:00:00Z")


def test_without_the_whole_old_row_wide_values_are_placeholders(recorded: Cases) -> None:
    after = changes(recorded, "defaulted")[1]["after"]
    assert {after[column] for column in ("a_text", "a_json", "a_jsonb")} == {UNAVAILABLE}
    assert after["texts"] == [UNAVAILABLE]
    for column in ("integers", "bigints", "dates"):
        assert bytes(after[column]).decode() == UNAVAILABLE
    assert UNAVAILABLE in after["an_hstore"]
    assert after["uuids"] == ["b68a35a7-17ad-35b3-af2a-ae46edb4545a"]


def test_another_key_is_a_deletion_a_tombstone_and_an_insert_at_one_place(recorded: Cases) -> None:
    records, envelopes = recorded.of("moved"), recorded.envelopes("moved")
    assert ops(recorded, "moved") == "cuud-cd-c"
    deleted, inserted = (envelope or {} for envelope in (envelopes[3], envelopes[5]))
    assert sequence(deleted) == sequence(inserted)
    assert records[3].headers == {"__debezium.newkey": '{"id":500}'}
    assert records[5].headers == {"__debezium.oldkey": '{"id":1}'}


def test_a_row_that_moves_to_another_parent_names_both(recorded: Cases) -> None:
    moved = changes(recorded, "moved")[1:3]
    assert [(one["before"]["order_id"], one["after"]["order_id"]) for one in moved] == [(77, 78), (78, 79)]


def test_a_key_that_is_not_the_rows_is_right_only_with_the_full_old_row(recorded: Cases) -> None:
    assert ops(recorded, "keyed") == "cccd-cd-"
    assert keys(recorded, "keyed")[3:] == ['{"order_id":77}'] * 2 + ['{"order_id":78}'] + ['{"order_id":77}'] * 2
    # The move leaves a row behind under 77, and the deletion has the key of an order that never existed.
    assert ops(recorded, "keyed_defaulted") == "cccud-"
    assert keys(recorded, "keyed_defaulted")[3:] == ['{"order_id":78}'] + ['{"order_id":0}'] * 2


def test_a_truncate_has_no_key_and_one_place_for_all_of_its_tables(recorded: Cases) -> None:
    ends = [(keys(recorded, table)[-1], changes(recorded, table)[-1]) for table in ("together", "together_too")]
    assert [(key, one["op"]) for key, one in ends] == [(None, "t")] * 2
    assert len({sequence(one) for _, one in ends}) == 1


def test_logical_messages_are_sent_within_and_without_a_transaction(recorded: Cases) -> None:
    assert ops(recorded, "message") == "mmm"
    assert set(keys(recorded, "message")[:2]) == {'{"prefix":"golden"}'}


def test_a_type_that_the_connector_does_not_know_is_left_out(recorded: Cases) -> None:
    (inserted,) = changes(recorded, "composites")
    assert inserted["after"] == {"id": 1, "note": "kept"}


def test_a_generated_column_is_in_the_snapshot_only(recorded: Cases) -> None:
    snapshot, streamed = changes(recorded, "generated")
    assert snapshot["after"]["total"] == "2.20"
    assert "total" not in streamed["after"]


def test_a_null_beside_a_default_arrives_as_null_in_json_and_as_the_default_in_avro() -> None:
    told = {name: [one["after"]["note"] for one in changes(cases(name), "nulled")] for name in FORMATS}
    assert told == {"cases-json": [None, None, "dflt"], "cases-avro": ["dflt", "dflt", "dflt"]}


def test_rows_of_a_transaction_share_the_last_commit_and_rows_of_one_copy_share_their_place(recorded: Cases) -> None:
    first, second, *copied = map(sequence, changes(recorded, "together")[:4])
    assert first[0] == second[0]
    assert first[1] < second[1]
    assert copied[0] == copied[1]


def test_an_insert_can_lie_before_the_deletion_that_lets_it_in(recorded: Cases) -> None:
    assert ops(recorded, "inverted") == "ccd-d-cc"
    deleted, inserted = (changes(recorded, "inverted")[place] for place in (3, 5))
    assert inserted["source"]["lsn"] < deleted["source"]["lsn"]
    assert sequence(inserted) > sequence(deleted)


def test_a_transaction_in_flight_lies_before_the_snapshot_that_did_not_see_it(recorded: Cases) -> None:
    snapshot, updated = changes(recorded, "in_flight")
    assert (snapshot["after"]["note"], updated["after"]["note"]) == ("before", "in flight")
    assert updated["source"]["lsn"] < snapshot["source"]["lsn"]
    assert sequence(updated)[0] is sequence(snapshot)[0] is None


def test_rows_of_an_incremental_snapshot_have_no_lsn_but_a_place(recorded: Cases) -> None:
    rows = changes(recorded, "incremental")[2:]
    assert [(row["op"], row["source"]["snapshot"]) for row in rows] == [("r", "incremental")] * 2
    assert all(row["source"]["lsn"] is None and row["source"]["txId"] is None for row in rows)
    assert all(None not in sequence(row) for row in rows)


def test_a_blocking_snapshot_sends_rows_again_at_a_later_position(recorded: Cases) -> None:
    before, again = changes(recorded, "blocking")[:2], changes(recorded, "blocking")[2:]
    assert [row["after"] for row in before] == [row["after"] for row in again]
    assert max(row["source"]["lsn"] for row in before) < min(row["source"]["lsn"] for row in again)


def test_a_streamed_change_is_marked_as_no_snapshot_or_not_marked(recorded: Cases) -> None:
    assert {one["source"]["snapshot"] for one in changes(recorded, "moved")} <= {None, "false"}


def test_columns_come_go_and_change_their_names_with_the_next_change(recorded: Cases) -> None:
    columns = [set(one["after"]) - {"id", "first"} for one in changes(recorded, "changing")]
    assert columns == [{"second"}, {"second", "third"}, {"renamed", "third"}, {"third"}]


def test_the_rows_of_all_partitions_come_in_their_tables_topic(recorded: Cases) -> None:
    assert ops(recorded, "parted") == "cd-cd-"
    # REPLICA IDENTITY FULL of the table does not apply to its partitions.
    assert [one["before"]["note"] for one in changes(recorded, "parted") if one["op"] == "d"] == [None, None]


def test_a_heartbeat_is_a_record_of_its_own_topic(recorded: Cases) -> None:
    beats = [record for record in recorded.records if record.topic.startswith("__debezium-heartbeat.")]
    assert [beat.key for beat in beats] == ['{"serverName":"golden"}']
