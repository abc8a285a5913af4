"""Tests of a damaged or missing live generation: its worker names the replay that repairs it without a worker."""

from __future__ import annotations

import os

from tests.acceptance.generations import succeeds
from tests.acceptance.pipeline_fixture import Pipeline
from tests.acceptance.shop import place
from tests.remedies.commands import commands


def test_a_damaged_live_file_of_duckdb_stops_its_worker_and_the_replay_in_its_remedy_repairs_it(
    rebuilt: Pipeline, order_id: int
) -> None:
    place(rebuilt.source, order_id, items=2)
    rebuilt.settle()
    rebuilt.end()
    live = rebuilt.live("duckdb")
    file = rebuilt.settings.duckdb.directory / f"{live:06}.duckdb"
    with file.open("r+b") as content:
        content.seek(4096)
        content.write(os.urandom(8192))
    run = rebuilt.start("duckdb")
    [said, *_] = run.says('event="worker failed"', "model=duckdb", f"generation {live}")
    assert "readmodels replay duckdb --execute" in said
    assert run.process.wait(60) == 1
    [rebuild] = commands(succeeds(rebuilt.command("generations", "duckdb")))
    assert "is equal" in succeeds(rebuilt.command(*rebuild))
    assert rebuilt.live("duckdb") > live
    [remove] = commands(succeeds(rebuilt.command("generations", "duckdb")))
    assert remove == ["prune", "duckdb", "--generation", str(live), "--execute"]
    succeeds(rebuilt.command(*remove))
    assert not commands(succeeds(rebuilt.command("generations", "duckdb")))
    rebuilt.end()
    rebuilt.keep_running()
    rebuilt.settled()
