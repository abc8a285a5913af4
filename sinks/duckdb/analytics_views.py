"""Views that answer questions about the live tables, made beside them wherever the tables that they need exist."""

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
    """A view's name, and the SELECT that it is."""

    name: str
    query: str


@dataclass(frozen=True)
class AnalyticsViews:
    """What readers find beside the tables.

    Args:
        views: each may use the tables, their histories and the macro `local_day`, and none of the others.
        time_zone: where a day begins at midnight, as `Europe/Berlin`.
    """

    views: tuple[View, ...] = ()
    time_zone: str = "UTC"

    def create_statements(self, tables: Iterable[tuple[str, Columns]]) -> list[str]:
        """What makes them beside these tables, in whatever database and schema is the default.

        A view whose tables or columns are not there is left out, and so is one that has a table's name.
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
    """The views that these tables allow: found out apart, for a refusal would end the transaction of those who ask."""
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
    """Return the views of `sql/analytics`, one file each, named as the view is.

    Args:
        time_zone: where the days of the views begin at midnight, as `Europe/Berlin`.
    """
    found = {file.name: file.read_text() for file in files("sql").joinpath("analytics").iterdir()}
    views = (View(name.removesuffix(".sql"), query) for name, query in sorted(found.items()))
    return AnalyticsViews(tuple(views), time_zone)
