"""Tests of workers that are killed with -9 at random moments, while orders are written."""

from __future__ import annotations

import random
import threading

import psutil

from tests.acceptance.cli_runner import MODELS, Run
from tests.acceptance.pipeline_fixture import Pipeline
from tests.support.waiting import wait_for

MOMENTS = 21
SHARED_MOMENTS = 6


def random_moment(longest_s: float) -> None:
    """Let the workers run for a random time: the moment is the test input, so there is no condition to wait for."""
    threading.Event().wait(random.uniform(0, longest_s))


def kill_a_worker(run: Run) -> None:
    """Kill one child at random; its supervisor restarts it."""
    model = random.choice(MODELS)
    worker = run.worker(model)
    worker.kill()
    wait_for(lambda: not worker.is_running(), 30, lambda: f"{model} survived")


def test_workers_killed_at_random_moments_lose_and_repeat_nothing(pipeline: Pipeline) -> None:
    with pipeline.load():
        for moment in range(MOMENTS):
            random_moment(2.0)
            if moment % 3 == 2:
                pipeline.workers.kill_all()
                pipeline.end()
                pipeline.start()
            else:
                kill_a_worker(pipeline.workers)
    pipeline.settled()


def test_two_workers_on_one_group_of_which_one_is_killed_end_equal(pipeline: Pipeline) -> None:
    other = pipeline.start("elasticsearch", "redis")
    other.says('event="partitions assigned"', times=2)
    with pipeline.load():
        for moment in range(SHARED_MOMENTS):
            random_moment(2.0)
            worker = (pipeline.workers, other)[moment % 2].worker(random.choice(("elasticsearch", "redis")))
            worker.kill()
    pipeline.settled()
    other.end()


def test_no_child_survives_its_parent(pipeline: Pipeline) -> None:
    children = pipeline.workers.kill()
    assert len(children) == len(MODELS)
    _, alive = psutil.wait_procs(children, timeout=30)
    assert alive == []
