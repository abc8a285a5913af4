"""What a report asks: each view that is there, whole, and how fresh the answers are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pipeline.config import Settings
from pipeline.sql import Answer, answer
from sinks.batch import Shard
from sinks.duckdb_place import Place

Rows = list[dict[str, Any]]

VIEWS = (
    "revenue_per_day",
    "orders_by_status",
    "order_funnel",
    "time_between_statuses",
    "top_skus",
    "first_and_repeat_orders",
    "basket_size",
)

_FOUND = "SELECT table_name AS name FROM information_schema.tables WHERE table_catalog = 'memory'"


@dataclass(frozen=True)
class Answers:
    """What the views said.

    Args:
        rows: by view; a view that these tables do not allow is left out.
        place: how far the generation had got when the first of them was asked; None where that was not told in time.
        written_at: when the last of them had answered.
        time_zone: where a day begins at midnight.
        ends: where the log ended; None where Kafka did not say.
    """

    rows: Mapping[str, Rows]
    place: Place | None
    written_at: datetime
    time_zone: str
    ends: Mapping[Shard, int] | None

    @property
    def lag_records(self) -> int | None:
        """How many records of the log were not read yet; None where that is not known."""
        if self.place is None or self.ends is None:
            return None
        return self.place.lag_records(self.ends)


def asked(settings: Settings) -> tuple[Mapping[str, Rows], Place | None]:
    """Ask every view that is there; each answers for itself, and none is older than the place.

    Raises:
        ReadersNotServed, GenerationMissing, QueryFailed: as `pipeline.sql.answer`.
    """
    found = answer(settings, _FOUND)
    names = {row["name"] for row in found.rows.to_pylist()}
    return {view: _rows(answer(settings, f"FROM {view}")) for view in VIEWS if view in names}, found.place


def _rows(found: Answer) -> Rows:
    rows: Rows = found.rows.to_pylist()
    return rows
