"""States of the models' generations, as reported by their stores."""

from __future__ import annotations

import subprocess

from pipeline import read_models
from sinks.generation import GenerationState
from tests.acceptance.pipeline_fixture import Pipeline


def succeeds(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def states(pipeline: Pipeline, model: str) -> dict[int, GenerationState]:
    """Return the states of a model's generations, as reported by its store."""
    with read_models.open_store(model, pipeline.settings) as store:
        live = store.live()
        return {number: record.state(is_live=number == live) for number, record in store.generations().items()}
