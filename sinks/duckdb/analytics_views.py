"""Analytics views over the live tables. A view is created if the tables that it needs exist."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files

import duckdb

from sinks.duckdb.sql_text import quote_identifier, quote_literal

Columns = tuple[tuple[str, str], ...]
"""Name and DuckDB type of every column."""


@dataclass(frozen=True)
class View:
    """Name and SELECT of one view."""

    name: str
    query: str


@dataclass(frozen=True)
class AnalyticsViews:
    """Views and macros that readers find beside the tables.

    Args:
        views: each may use the tables, their histories and the macro `local_day`, but no other view.
        time_zone: the time zone in which a day begins at midnight, such as `Europe/Berlin`.
    """

    views: tuple[View, ...] = ()
    time_zone: str = "UTC"

    def create_statements(self, tables: Iterable[tuple[str, Columns]]) -> list[str]:
        """Return the statements that create the macro and the views in the default database and schema.

        A view is skipped if a table or column that it needs is missing, or if a table has its name.
        """
        views = _applicable(self, tuple(sorted(tables)))
        return [
            self._local_day(),
            *(f"CREATE OR REPLACE VIEW {quote_identifier(view.name)} AS {view.query}" for view in views),
        ]

    def _local_day(self) -> str:
        day = f"CAST(_moment AT TIME ZONE {quote_literal(self.time_zone)} AS DATE)"
        return f"CREATE OR REPLACE MACRO local_day(_moment) AS {day}"


NO_VIEWS = AnalyticsViews()


@functools.cache
def _applicable(analytics: AnalyticsViews, tables: tuple[tuple[str, Columns], ...]) -> tuple[View, ...]:
    """Return the views that these tables allow.

    A separate database tests them, because a failure would end the transaction of the caller.
    """
    with duckdb.connect() as staging:
        for name, columns in tables:
            described = ", ".join(f"{quote_identifier(column)} {kind}" for column, kind in columns)
            staging.execute(f"CREATE TABLE {quote_identifier(name)} ({described})")
        staging.execute(analytics._local_day())
        names = {name for name, _ in tables}
        return tuple(view for view in analytics.views if view.name not in names and _binds(staging, view))


def _binds(staging: duckdb.DuckDBPyConnection, view: View) -> bool:
    try:
        staging.execute(f"EXPLAIN {view.query}")
    except (duckdb.BinderException, duckdb.CatalogException):
        return False
    return True


def shipped_views(time_zone: str) -> AnalyticsViews:
    """Return the views of `sql/analytics`: one file per view, named after the view.

    Args:
        time_zone: the time zone in which the days of the views begin at midnight, such as `Europe/Berlin`.
    """
    found = {file.name: file.read_text() for file in files("sql").joinpath("analytics").iterdir()}
    views = (View(name.removesuffix(".sql"), query) for name, query in sorted(found.items()))
    return AnalyticsViews(tuple(views), time_zone)
