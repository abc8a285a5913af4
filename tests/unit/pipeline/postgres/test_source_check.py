"""Tests of gaps in a log: lasting conditions, traces in the catalog, and stored observations."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from connectors.debezium import default_configuration
from pipeline.ingest.log_mismatch import EpochMismatch
from pipeline.postgres.capture import Capture, SourceState
from pipeline.postgres.source_check import SourceCheck, as_seen, gaps_of, source_findings
from pipeline.postgres.source_history import Gap, SourceRecord
from pipeline.postgres.source_identity import altered, identity_of
from tests.unit.pipeline.postgres.test_preconditions import DATABASE, SLOT, TABLE

CAPTURE = Capture(default_configuration(), "debezium")
ORDERS = replace(TABLE, table_identity="1", key_identity="2", publication_entries=["table 3"])
WELL = SourceState(
    replace(DATABASE, publication_identity="4", publication_version="700", publication_content="abc"), [ORDERS], SLOT
)
FIRST, NOW = "12:00:00 UTC (LSN 0/10)", "12:00:05 UTC (LSN 0/20)"
KNOWN = SourceRecord(identity_of(WELL), FIRST)


def orders(**changes: Any) -> SourceState:
    return replace(WELL, tables=[replace(ORDERS, **changes)])


def publication(**changes: Any) -> SourceState:
    return replace(WELL, database=replace(WELL.database, **{f"publication_{key}": one for key, one in changes.items()}))


TRACES: dict[str, tuple[SourceState, list[str]]] = {
    "nothing": (WELL, []),
    "a table that was made again under its name": (
        orders(table_identity="9", key_identity="8", publication_entries=["table 7"]),
        ["public.orders was dropped and made again"],
    ),
    "a primary key that was made again": (
        orders(key_identity="9"),
        ["the primary key of public.orders was dropped and made again"],
    ),
    "a table that was taken out of the publication and put back": (
        orders(publication_entries=["table 9"]),
        ["public.orders was taken out of the publication and put back"],
    ),
    "a table that is published by its schema too": (orders(publication_entries=["schema 9", "table 3"]), []),
    "a publication that was made again": (
        publication(identity="9", version="701"),
        ["the publication was dropped and made again"],
    ),
    "operations that were left out for a while": (
        publication(version="701"),
        ["the publication's operations were changed and set back"],
    ),
    "a publication with another owner": (publication(version="701", content="abd"), []),
    "a table that is captured now": (replace(WELL, tables=[ORDERS, replace(ORDERS, table_name="public.new")]), []),
    "a table that is captured no more": (replace(WELL, tables=[]), []),
}


@pytest.mark.parametrize("case", TRACES)
def test_a_change_that_was_reverted_leaves_traces(case: str) -> None:
    source, expected = TRACES[case]
    assert list(altered(identity_of(WELL), identity_of(source))) == expected


def test_a_gap_is_reported_with_the_two_checks_around_its_start_and_its_remedy() -> None:
    lasting = SourceCheck(orders(is_identity_full=False), NOW)
    [gap] = gaps_of(lasting, KNOWN, CAPTURE)
    assert (FIRST in gap.since, NOW in gap.since) == (True, True)
    remedy = EpochMismatch(as_seen([gap])).remedy
    assert (
        "ALTER TABLE public.orders REPLICA IDENTITY FULL; Then `readmodels epoch open --resnapshot --execute`" in remedy
    )


def test_a_gap_is_remembered_when_its_cause_is_gone() -> None:
    gap = Gap("public.orders does not log whole old rows", "since a moment")
    remembered = replace(KNOWN, gaps={gap.problem: gap})
    assert gaps_of(SourceCheck(WELL, NOW), remembered, CAPTURE) == [gap]
    [finding] = source_findings(SourceCheck(WELL, NOW), remembered, CAPTURE)
    assert "since a moment" in finding.problem
    assert "epoch open --resnapshot" in finding.remedy


def test_a_source_of_which_nothing_is_known_has_findings_and_no_gaps() -> None:
    look = SourceCheck(orders(is_identity_full=False), NOW)
    assert gaps_of(look, SourceRecord(), CAPTURE) == []
    [finding] = source_findings(look, SourceRecord(), CAPTURE)
    assert finding.remedy == "ALTER TABLE public.orders REPLICA IDENTITY FULL;"


def test_an_obstacle_to_snapshots_only_is_no_gap() -> None:
    look = SourceCheck(orders(is_readable=False), NOW)
    assert gaps_of(look, KNOWN, CAPTURE) == []
    [finding] = source_findings(look, KNOWN, CAPTURE)
    assert finding.remedy.startswith("GRANT SELECT")
