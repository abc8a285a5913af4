"""Fixtures with a pipeline on the local stack, whose servers the tests stop and kill; set up and torn down once."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest

from pipeline.demo.tables import create_tables
from sinks.generation import GenerationState
from stack.local import LocalStack
from tests.acceptance.cli_runner import MODELS
from tests.acceptance.generations import states, succeeds
from tests.acceptance.pipeline_fixture import Pipeline
from tests.acceptance.shop import place

OLD_ORDERS = (900_000_000, 900_000_100, 900_000_200)
"""Orders older than the connector, and so than its first snapshot."""

_ids = count(1_000_000_000, 1000)


@pytest.fixture(scope="package")
def deployed(local_stack: LocalStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """Yield a set-up pipeline with orders older than the connector; each test starts the workers if it needs them."""
    pipeline = Pipeline(local_stack, tmp_path_factory.mktemp("logs"))
    create_tables(pipeline.source)
    for order_id in OLD_ORDERS:
        place(pipeline.source, order_id, items=2)
    done = pipeline.command("init")
    assert done.returncode == 0, done.stdout + done.stderr
    yield pipeline
    pipeline.end()
    pipeline.source.close()
    undone = pipeline.command("teardown", "--with-tables", "--execute")
    assert undone.returncode == 0, undone.stdout + undone.stderr


@pytest.fixture
def pipeline(deployed: Pipeline) -> Pipeline:
    """Return a pipeline whose three workers run."""
    deployed.keep_running()
    return deployed


@pytest.fixture
def rebuilt(pipeline: Pipeline) -> Iterator[Pipeline]:
    """Yield a pipeline whose models have one generation each, before and after the test."""
    yield pipeline
    succeeds(pipeline.command("prune", "--keep", "0", "--execute"))
    for model in MODELS:
        for number, state in states(pipeline, model).items():
            if state is not GenerationState.LIVE:
                succeeds(pipeline.command("prune", model, "--generation", str(number), "--execute"))


@pytest.fixture
def order_id() -> int:
    """Return an id that no other test uses, like the thousand ids after it."""
    return next(_ids)
