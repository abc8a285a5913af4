"""What a report asks: each view that is there, whole, and how fresh the answers are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import orjson
import pyarrow as pa

from pipeline.config import Settings
from pipeline.ingest.json_text import values_to_json
from pipeline.query.query import QueryResult, query_with_position
from sinks.batch import TopicPartition
from sinks.duckdb.progress_query import ReadPosition

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

_EPOCH = date(1970, 1, 1).toordinal()
_FIRST, _LAST = date.min.toordinal() - _EPOCH, date.max.toordinal() - _EPOCH

_FOUND = "SELECT table_name AS name FROM information_schema.tables WHERE table_catalog = 'memory'"


@dataclass(frozen=True)
class QueryResults:
    """What the views said.

    Args:
        rows: by view; a view that these tables do not allow is left out.
        place: how far the generation had got when the first of them was asked; None where that was not told in time.
        written_at: when the last of them had answered.
        time_zone: where a day begins at midnight.
        ends: where the log ended; None where Kafka did not say.
    """

    rows: Mapping[str, Rows]
    place: ReadPosition | None
    written_at: datetime
    time_zone: str
    ends: Mapping[TopicPartition, int] | None

    @property
    def lag_records(self) -> int | None:
        """How many records of the log were not read yet; None where that is not known."""
        if self.place is None or self.ends is None:
            return None
        return self.place.lag_records(self.ends)


def run_queries(settings: Settings) -> tuple[Mapping[str, Rows], ReadPosition | None]:
    """Ask every view that is there; each answers for itself, and none is older than the place.

    Raises:
        QuackNotServed, GenerationMissing, QueryFailed: as `pipeline.query.query.query_with_position`.
    """
    found = query_with_position(settings, _FOUND)
    names = {row["name"] for row in found.rows.to_pylist()}
    return {view: _rows(query_with_position(settings, f"FROM {view}")) for view in VIEWS if view in names}, found.place


def _rows(found: QueryResult) -> Rows:
    columns = [_values(column) for column in found.rows.columns]
    return [dict(zip(found.rows.column_names, row, strict=True)) for row in zip(*columns, strict=True)]


def _values(column: pa.ChunkedArray) -> list[Any]:
    """The values of a column; a date that Python cannot hold, such as infinity or one of the year 12026, as a text."""
    if not pa.types.is_date32(column.type):
        plain: list[Any] = column.to_pylist()
        return plain
    texts = values_to_json(column.combine_chunks(), "").to_pylist()
    days = column.cast(pa.int32()).to_pylist()
    return [
        date.fromordinal(day + _EPOCH) if day is not None and _FIRST <= day <= _LAST else text and orjson.loads(text)
        for day, text in zip(days, texts, strict=True)
    ]
