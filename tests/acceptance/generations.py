"""How the generations of the models stand, by what their stores say."""

from __future__ import annotations

import subprocess

from pipeline import read_models
from sinks.generation import GenerationState
from tests.acceptance.pipeline_fixture import Pipeline


def succeeds(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def states(pipeline: Pipeline, model: str) -> dict[int, GenerationState]:
    """How the generations of a model stand, as its store says."""
    with read_models.STORES[model](pipeline.settings) as store:
        live = store.live()
        return {number: record.state(is_live=number == live) for number, record in store.generations().items()}
