"""Test of a store that one entry in the list of read models adds, from outside of the packages."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextvars import copy_context
from pathlib import Path

import pytest

from pipeline import read_models
from pipeline.generations.cutover import cut_over_now, drop
from pipeline.generations.rebuild import Rebuild, RebuildRequest
from pipeline.generations.rebuild_plan import epochs_of_log, plan_rebuild, scan_for_plan
from pipeline.generations.rebuild_target import RebuildTarget
from pipeline.postgres.watermark import committed_end_offsets
from pipeline.runtime.process import run_workers
from pipeline.setup.generations import first_generation_steps
from pipeline.verify.verify import Scope, verify
from sinks.batch import Offsets, Progress
from tests.acceptance.pipeline_fixture import Pipeline
from tests.acceptance.shop import place
from tests.toy_store.read_model import FILE, TOY, open_store


class Quiet:
    """A watcher that ignores every callback."""

    def reading(self, side: str, count: int, expected: int | None) -> None: ...
    def waiting(self, model: str, lacking_records: int) -> None: ...
    def surveying(self, reached: Offsets, ends: Offsets) -> None: ...
    def begun(self, where: RebuildTarget) -> None: ...
    def building(self, progress: Progress, ends: Offsets) -> None: ...
    def step(self, words: str) -> None: ...


@pytest.fixture
def toy(deployed: Pipeline, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """Add the toy store's entry, and yield its name."""
    monkeypatch.setenv(FILE, str(tmp_path / "toy"))
    monkeypatch.setitem(read_models.READ_MODELS, TOY.name, TOY)
    yield TOY.name
    store = open_store(deployed.settings)
    cut_over_now(TOY.name, 1, deployed.settings)
    drop(TOY.name, 2, store, deployed.settings)


def work(pipeline: Pipeline) -> None:
    """Run the toy model's workers until they hold everything that is committed now."""
    stop, ends = threading.Event(), committed_end_offsets(pipeline.settings, pipeline.settings.definitions.topics)
    # In a context of its own: the workers bind the model's name to the lines of their log.
    copy_context().run(run_workers, TOY.name, pipeline.settings, stop, ends)
    stop.set()


def rebuild(pipeline: Pipeline, folder: Path) -> int | None:
    """Rebuild the toy model as `replay --execute` does, and return the generation that is live then."""
    settings = pipeline.settings
    ground = scan_for_plan(settings, Quiet(), epochs_of_log([TOY.name], settings), is_from_snapshot=False)
    plan = plan_rebuild(TOY.name, settings, ground, starts_over=False)
    assert not plan.is_refused
    wanted = RebuildRequest(
        model=TOY.name, range_tombstones=plan.assessment.range_tombstones, epochs=plan.epochs, earlier={}
    )
    options = ["--config", str(pipeline.command.config), "--home", str(pipeline.command.home)]
    program = [sys.executable, "-m", "tests.toy_store", *options, "work", TOY.name]
    done = Rebuild(
        settings, wanted, lambda generation: [*program, "--generation", str(generation)], folder, Quiet()
    ).run()
    assert done.is_equal
    return open_store(settings).live()


def test_a_store_added_by_one_entry_is_filled_verified_and_rebuilt(
    deployed: Pipeline, toy: str, order_id: int, tmp_path: Path
) -> None:
    place(deployed.source, order_id, items=2)
    for step in first_generation_steps(deployed.settings):
        if step.name == f"{toy} model":
            step.carry_out()
    work(deployed)
    (filled,) = verify([toy], deployed.settings, Scope(), Quiet())
    assert filled.is_equal
    assert filled.documents > 0
    assert rebuild(deployed, tmp_path) == 2
    (rebuilt,) = verify([toy], deployed.settings, Scope(), Quiet(), {toy: 2})
    assert (rebuilt.is_equal, rebuilt.documents) == (True, filled.documents)
