"""Queries of a report: each available view as a whole, and the freshness of the results."""

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
    """Results of the views.

    Args:
        rows: by view; views that need other tables are left out.
        place: read position of the generation before the first view was read; None if it was not known in time.
        written_at: when the last view had been read.
        time_zone: the zone in which days begin at midnight.
        ends: end offsets of the log; None if Kafka did not answer.
    """

    rows: Mapping[str, Rows]
    place: ReadPosition | None
    written_at: datetime
    time_zone: str
    ends: Mapping[TopicPartition, int] | None

    @property
    def lag_records(self) -> int | None:
        """Number of records of the log that were not read yet; None if it is not known."""
        if self.place is None or self.ends is None:
            return None
        return self.place.lag_records(self.ends)


def run_queries(settings: Settings) -> tuple[Mapping[str, Rows], ReadPosition | None]:
    """Read every available view in a query of its own; no result is older than the position.

    Raises:
        QuackNotServed, GenerationMissing, QueryFailed: as in `pipeline.query.query.query_with_position`.
    """
    found = query_with_position(settings, _FOUND)
    names = {row["name"] for row in found.rows.to_pylist()}
    return {view: _rows(query_with_position(settings, f"FROM {view}")) for view in VIEWS if view in names}, found.place


def _rows(found: QueryResult) -> Rows:
    columns = [_values(column) for column in found.rows.columns]
    return [dict(zip(found.rows.column_names, row, strict=True)) for row in zip(*columns, strict=True)]


def _values(column: pa.ChunkedArray) -> list[Any]:
    """Return the values of a column. A date outside Python's range, such as infinity or year 12026, is a text."""
    if not pa.types.is_date32(column.type):
        plain: list[Any] = column.to_pylist()
        return plain
    texts = values_to_json(column.combine_chunks(), "").to_pylist()
    days = column.cast(pa.int32()).to_pylist()
    return [
        date.fromordinal(day + _EPOCH) if day is not None and _FIRST <= day <= _LAST else text and orjson.loads(text)
        for day, text in zip(days, texts, strict=True)
    ]
