"""The shipped views of `sql/analytics`: a file per view, named as the view is."""

from __future__ import annotations

from importlib.resources import files

from sinks.duckdb_analytics import Analytics, View


def analytics(time_zone: str) -> Analytics:
    """The views, and where their days begin."""
    found = {file.name: file.read_text() for file in files("sql").joinpath("analytics").iterdir()}
    return Analytics(
        tuple(View(name.removesuffix(".sql"), query) for name, query in sorted(found.items())),
        time_zone,
    )
