"""Rewriting of a query so that it reads the tables as of a past moment."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime

from sinks.duckdb.analytics_views import AnalyticsViews
from sinks.duckdb.history import as_of_name
from sinks.duckdb.query_check import parse_query, render_query, select_of
from sinks.duckdb.sql_text import quote_identifier, quote_literal


class NoHistory(ValueError):
    """The query refers to a relation without a history."""

    remedy = (
        "Name a table alone, as in `FROM orders`. For a history, which has `valid_from` and `valid_to`, leave out "
        "--as-of."
    )


def rewrite_as_of(query: str, moment: datetime, tables: Collection[str], analytics: AnalyticsViews) -> str:
    """Rewrite a SELECT to read the tables as of a moment.

    Each table that it names becomes a common table expression of that name, and so does each view of these tables.

    Args:
        moment: with its time zone.
        tables: the tables that have a history.

    Raises:
        QueryRefused: the query is not a SELECT.
        NoHistory: it names a relation other than those tables, those views and its own common table expressions.
    """
    tree = select_of(query)
    own = set(_expressions(tree))
    if taken := sorted(own & {name.lower() for name in tables}):
        raise NoHistory(f"{', '.join(taken)} is a table here, and cannot be the name of a common table expression")
    past = dict(_past(moment, tables, analytics))
    named = set(_tables(tree)) - own
    if unknown := sorted(named - past.keys()):
        raise NoHistory(f"{', '.join(unknown)} is not known as of a moment")
    if not named:
        return query
    # Tables precede the views that read them. DuckDB computes only the expressions that are used.
    prefix = ", ".join(f"{quote_identifier(name)} AS ({past[name]})" for name in past)
    ours = parse_query(f"WITH {prefix} SELECT 1")["statements"][0]["node"]["cte_map"]["map"]
    tree["statements"][0]["node"]["cte_map"]["map"][:0] = ours
    return render_query(tree)


def _past(moment: datetime, tables: Iterable[str], analytics: AnalyticsViews) -> Iterator[tuple[str, str]]:
    known = {name.lower(): name for name in tables}
    for name, table in known.items():
        yield name, f"FROM {quote_identifier(as_of_name(table))}({quote_literal(moment.isoformat())})"
    for view in analytics.views:
        if (
            view.name not in known
            and set(_tables(tree := parse_query(view.query))) - set(_expressions(tree)) <= known.keys()
        ):
            yield view.name, view.query


def _tables(tree: object) -> Iterator[str]:
    """Yield the tables and views of a parsed query, with their qualifiers, in lower case."""
    if isinstance(tree, dict):
        kind = tree.get("type")
        if kind == "SHOW_REF":
            yield "a description"
        if kind == "BASE_TABLE":
            path = (tree["catalog_name"], tree["schema_name"], tree["table_name"])
            yield ".".join(filter(None, path)).lower()
        for branch in tree.values():
            yield from _tables(branch)
    elif isinstance(tree, list):
        for branch in tree:
            yield from _tables(branch)


def _expressions(tree: object) -> Iterator[str]:
    """Yield the names of all common table expressions of a parsed query, in lower case."""
    if isinstance(tree, dict):
        if isinstance(found := tree.get("cte_map"), dict):
            yield from (entry["key"].lower() for entry in found["map"])
        for branch in tree.values():
            yield from _expressions(branch)
    elif isinstance(tree, list):
        for branch in tree:
            yield from _expressions(branch)
