"""Tests that a gap between the slot and the connector is detected, and normal operation is not reported as one."""

from dataclasses import replace
from typing import Any

import pytest

from pipeline.postgres.replication import Slot
from pipeline.postgres.slot_gap import SlotGap, require_no_gap

SLOT = Slot("orders", "orders_db", "pgoutput", False, "reserved", None, 900, 1000, 100)


def read_to(lsn: int) -> list[dict[str, Any]]:
    return [{"partition": {"server": "cdc"}, "offset": {"lsn_proc": lsn, "lsn_commit": lsn, "lsn": lsn}}]


@pytest.mark.parametrize("lsn", [1000, 1001, 2**63])
def test_a_slot_at_or_before_the_connector_is_unbroken(lsn: int) -> None:
    require_no_gap("orders", SLOT, read_to(lsn))


@pytest.mark.parametrize(("change", "commit"), [(900, 1000), (1000, 900)], ids=["inverted", "in a transaction"])
def test_a_change_below_the_commit_before_it_leaves_no_gap(change: int, commit: int) -> None:
    require_no_gap("orders", SLOT, [{"partition": {}, "offset": {"lsn_proc": change, "lsn_commit": commit}}])


def test_a_slot_ahead_of_the_connector_is_refused() -> None:
    with pytest.raises(SlotGap, match="slot orders begins at LSN 1000, the connector had read to 999"):
        require_no_gap("orders", SLOT, read_to(999))


def test_a_slot_that_is_gone_is_refused() -> None:
    with pytest.raises(SlotGap, match="slot orders is gone"):
        require_no_gap("orders", None, read_to(999))


@pytest.mark.parametrize(
    "offsets", [[], [{"partition": {}, "offset": None}], [{"partition": {}, "offset": {"lsn": 5, "snapshot": True}}]]
)
def test_before_the_first_streamed_change_nothing_is_missing(offsets: list[dict[str, Any]]) -> None:
    require_no_gap("orders", None, offsets)
    require_no_gap("orders", replace(SLOT, confirmed_flush_lsn=None), offsets)
