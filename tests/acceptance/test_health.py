"""Tests of `status --check`, the one definition of health: the problems that it names, and their remedies verbatim."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from contextlib import closing

import pytest
import yaml

from connectors.kafka_connect import ConnectClient
from pipeline.health.problem import Problem
from pipeline.postgres.watermark import Watermarks, WatermarkTimeout
from pipeline.status import collect
from pipeline.verify.catch_up import CatchUpTimeout
from tests.acceptance.cli_runner import MODELS
from tests.acceptance.generations import succeeds
from tests.acceptance.models import HTTP
from tests.acceptance.pipeline_fixture import Pipeline
from tests.support.checkout import CHECKOUT
from tests.support.waiting import wait_for

FOUND_WITHIN_S = 120.0
COMPOSE = yaml.safe_load((CHECKOUT / "docker-compose.yml").read_text())["services"]


def problems(pipeline: Pipeline) -> list[Problem]:
    return list(collect(pipeline.settings).problems)


def named(pipeline: Pipeline, subject: str, words: str) -> Problem:
    """Wait until a problem of this subject is named, and return it."""

    def find() -> Problem | None:
        return next((one for one in problems(pipeline) if one.subject == subject and words in one.problem), None)

    return wait_for(find, FOUND_WITHIN_S, lambda: f"{words!r} of {subject}: {problems(pipeline)}")


def becomes_healthy(pipeline: Pipeline) -> None:
    wait_for(lambda: not problems(pipeline), FOUND_WITHIN_S, lambda: f"{problems(pipeline)}")
    assert pipeline.command("status", "--check").returncode == 0


def commands(remedy: str) -> Iterator[list[str]]:
    """Yield the commands in a remedy."""
    for quoted in re.findall(r"`readmodels ([^`]+)`", remedy):
        yield shlex.split(quoted)


def follow(pipeline: Pipeline, remedy: str) -> None:
    """Carry out a remedy, command by command; a command that runs workers is left running."""
    for words in commands(remedy):
        if words[0] == "run":
            pipeline.start(*words[1:])
        else:
            succeeds(pipeline.command(*words))


def probe(model: str) -> list[str]:
    """Return the words of docker compose's health check of a worker."""
    return [str(word) for word in COMPOSE[f"worker-{model}"]["healthcheck"]["test"][2:]]


def test_the_health_checks_of_compose_hold_while_workers_work_and_fail_without_them(pipeline: Pipeline) -> None:
    becomes_healthy(pipeline)
    for model in MODELS:
        assert pipeline.command(*probe(model)).returncode == 0
    pipeline.end()
    for model in MODELS:
        problem = named(pipeline, model, "no worker runs")
        assert list(commands(problem.remedy)) == [["run", model]]
        unhealthy = pipeline.command(*probe(model))
        assert (unhealthy.returncode, f"{model}: no worker runs" in unhealthy.stdout) == (1, True)
        follow(pipeline, problem.remedy)
    becomes_healthy(pipeline)
    pipeline.end()


def test_a_paused_model_is_named_until_the_remedy_is_carried_out(pipeline: Pipeline) -> None:
    becomes_healthy(pipeline)
    succeeds(pipeline.command("pause", "redis"))
    paused = named(pipeline, "redis", "paused since")
    assert pipeline.command(*probe("redis")).returncode == 1
    assert pipeline.command(*probe("duckdb")).returncode == 0
    pipeline.sql("UPDATE public.orders SET updated_at = now() WHERE id = (SELECT min(id) FROM public.orders)")
    behind = pipeline.command("verify", "redis", "--timeout", "2")
    assert "CatchUpTimeout" in behind.stderr
    follow(pipeline, paused.remedy)
    becomes_healthy(pipeline)
    [*_, longer] = commands(CatchUpTimeout.remedy)
    succeeds(pipeline.command("verify", "redis", *longer[1:]))


def test_a_resting_connector_is_named_until_the_remedy_is_carried_out(pipeline: Pipeline) -> None:
    with closing(ConnectClient(pipeline.endpoints.connect)) as client:
        client.pause(pipeline.settings.connector.name)
        resting = named(pipeline, "connector", "PAUSED")
        watermarks = Watermarks(pipeline.settings.kafka, pipeline.settings.connector, pipeline.settings.connect.url)
        watermark = watermarks.set(pipeline.source)
        with pytest.raises(WatermarkTimeout) as unseen:
            watermarks.wait_for(watermark, 1.0)
        assert next(commands(unseen.value.remedy)) == ["init"] == next(commands(resting.remedy))
        follow(pipeline, resting.remedy)
    watermarks.wait_for(watermark, FOUND_WITHIN_S)
    becomes_healthy(pipeline)


def test_killed_workers_are_missing_until_others_run_in_their_place(pipeline: Pipeline) -> None:
    becomes_healthy(pipeline)
    killed = {model: worker.pid for model, worker in pipeline.workers.workers().items()}
    pipeline.workers.kill_all()
    for model in MODELS:
        missing = named(pipeline, model, "is missing: silent for")
        assert f"process {killed[model]})" in missing.problem
        follow(pipeline, missing.remedy)
    becomes_healthy(pipeline)


@pytest.mark.parametrize("is_data_gone", [True, False], ids=["data", "readers' names"])
def test_workers_whose_live_generation_is_gone_stop_with_a_remedy_that_works(
    pipeline: Pipeline, is_data_gone: bool
) -> None:
    pipeline.settle()
    becomes_healthy(pipeline)
    (remove_data if is_data_gone else remove_names)(pipeline)
    for model in ("elasticsearch", "redis"):
        pipeline.workers.says('event="worker failed"', f"model={model}", "readmodels init")
        stopped = named(pipeline, model, "stopped at")
        assert "process" in stopped.problem
        [init, *_, run] = commands(stopped.remedy)
        assert (init, run) == (["init"], ["run", model])
    succeeds(pipeline.command("init"))
    pipeline.keep_running()
    becomes_healthy(pipeline)
    pipeline.settled()


def remove_data(pipeline: Pipeline) -> None:
    """Remove the live generations, as an operator might by mistake."""
    index = f"{pipeline.endpoints.elasticsearch}/orders-{pipeline.live('elasticsearch'):06}"
    assert HTTP.request("DELETE", index).status == 200
    pipeline.redis().flushall()


def remove_names(pipeline: Pipeline) -> None:
    """Keep the data, and remove the names by which readers find it."""
    alias = f"{pipeline.endpoints.elasticsearch}/_all/_alias/orders"
    assert HTTP.request("DELETE", alias).status == 200
    # Redis has no names: readers are in database 0.
    pipeline.redis().flushdb()
