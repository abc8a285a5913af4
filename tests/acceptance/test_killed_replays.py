"""Tests of replays that are killed with -9 at random moments, while orders are written."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

import pytest

from tests.acceptance.cli_runner import MODELS
from tests.acceptance.generations import succeeds
from tests.acceptance.pipeline_fixture import Pipeline

MOMENTS = 6


@pytest.mark.timeout(1800)
def test_a_replay_that_is_killed_at_random_times_does_not_affect_readers_and_ends_equal(
    rebuilt: Pipeline, tmp_path: Path
) -> None:
    before = {model: rebuilt.live(model) for model in MODELS}
    with rebuilt.load():
        for moment in range(MOMENTS):
            model = MODELS[moment % len(MODELS)]
            replay = rebuilt.command.start(tmp_path / f"replay-{moment}.log", "replay", model, "--execute", "--keep")
            if moment % 4:
                replay.says("generation")
            try:
                replay.process.wait(random.uniform(0.1, 8.0))
            except subprocess.TimeoutExpired:
                replay.kill_all()
            assert {one: rebuilt.live(one) for one in MODELS} == before
            assert set(rebuilt.workers.workers()) == set(MODELS), rebuilt.workers.end_of_log()
        rebuilt.settle()
        for model in MODELS:
            succeeds(rebuilt.command("replay", model, "--execute"))
    assert all(rebuilt.live(model) > before[model] for model in MODELS)
    rebuilt.settled()
