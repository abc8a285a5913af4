"""Command `report`: the results of the views as a page with charts."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.context import context_of, err, writing
from pipeline.cli.sql import ENDS_WAIT_S
from pipeline.query.freshness import EndOffsetsRequest
from pipeline.report.page import page
from pipeline.report.queries import QueryResults, run_queries


def report(
    context: typer.Context,
    output: Annotated[Path, typer.Option(dir_okay=False, help="Output file.")] = Path("report.html"),
) -> None:
    """Write one HTML page with charts of DuckDB's views, whether or not a worker is writing the store.

    The page is self-contained: it can be mailed, or opened on a phone. It shows the time of its data.
    """
    settings = context_of(context).settings()
    ends = EndOffsetsRequest(settings.kafka, settings.definitions.topics)
    rows, place = run_queries(settings)
    answers = QueryResults(rows, place, datetime.now(UTC), settings.duckdb.time_zone, ends.result(ENDS_WAIT_S))
    pending = output.with_name(f"{output.name}.new")
    with writing(pending):
        pending.write_text(page(answers), encoding="utf-8")
    pending.replace(output)
    err.print(f"wrote {output}", style="dim", markup=False, soft_wrap=True)
