"""DuckDB's read model in a notebook: the report, and questions of your own, of now or of a moment that has passed.

Run it from the checkout: `marimo edit docs/guides/notebook.py`, or, with the command's own options,
`marimo run docs/guides/notebook.py -- --config readmodels.toml --home .readmodels`.
"""

import marimo

app = marimo.App(width="full", app_title="Read models")

with app.setup:
    from datetime import UTC, datetime
    from pathlib import Path

    import marimo as mo

    from pipeline.cli.context import Context
    from pipeline.query.as_of import NoHistory
    from pipeline.query.freshness import EndOffsetsRequest, freshness
    from pipeline.query.query import QueryFailed, query_with_position
    from pipeline.report.page import page
    from pipeline.report.queries import QueryResults, run_queries
    from sinks.duckdb.query_check import QueryRefused


@app.cell
def _():
    _given = mo.cli_args()
    _place = Context(Path(_given.get("config") or "readmodels.toml"), Path(_given.get("home") or ".readmodels"))
    settings = _place.settings()
    return (settings,)


@app.cell
def _():
    refresh = mo.ui.refresh(options=["5s", "1m"], label="Ask again")
    mo.hstack([mo.md("# The report"), refresh])
    return (refresh,)


@app.cell
def _(refresh, settings):
    refresh.value
    ends = EndOffsetsRequest(settings.kafka, settings.definitions.topics)
    rows, reached = run_queries(settings)
    report = page(QueryResults(rows, reached, datetime.now(UTC), settings.duckdb.time_zone, ends.result(0.3)))
    mo.iframe(report, height="900px")
    return ends, report


@app.cell
def _():
    query = mo.ui.text_area("SELECT * FROM orders ORDER BY updated_at DESC LIMIT 20", label="SELECT", full_width=True)
    moment = mo.ui.text(placeholder="2026-01-02T09:00Z", label="as of")
    mo.vstack([mo.md("# A question of your own"), query, moment])
    return moment, query


@app.cell
def _(ends, moment, query, settings):
    try:
        found = query_with_position(
            settings, query.value, datetime.fromisoformat(moment.value) if moment.value else None
        )
        told = freshness(found.place, ends.result(0), datetime.now(UTC)) if found.place else "not known how fresh"
        answered = mo.vstack([mo.ui.table(found.rows.to_pylist(), selection=None), mo.md(told)])
    except (NoHistory, QueryFailed, QueryRefused, ValueError) as error:
        found, answered = None, mo.callout(str(error), kind="warn")
    answered
    return (found,)


if __name__ == "__main__":
    app.run()
