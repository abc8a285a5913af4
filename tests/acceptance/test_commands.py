"""Tests of the operator's commands and their output."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

from typer.testing import CliRunner

from connectors.kafka_connect import ConnectClient
from pipeline.cli.main import app
from tests.acceptance.cli_runner import MODELS, Command
from tests.acceptance.models import found_in_elasticsearch, got_from_redis
from tests.acceptance.pipeline_fixture import Pipeline
from tests.acceptance.shop import place
from tests.support.waiting import wait_for


def test_a_second_init_changes_nothing(pipeline: Pipeline) -> None:
    again = pipeline.command("init")
    assert again.returncode == 0, again.stderr
    steps = [line.split()[-1] for line in again.stdout.splitlines() if line.startswith(("=", "✓"))]
    assert steps[:3] == ["unchanged", "hold", "unchanged"]
    assert again.stdout.count("unchanged") == len(steps) - 1
    assert "unchanged, running" in again.stdout


def test_a_teardown_without_execute_only_prints_its_plan(pipeline: Pipeline) -> None:
    shown = pipeline.command("teardown", "--with-tables")
    assert shown.returncode == 0
    assert "would remove" in shown.stdout
    assert "nothing was done" in shown.stdout
    pipeline.settled()


def test_status_names_connector_slot_and_the_lag_of_every_model(pipeline: Pipeline) -> None:
    pipeline.settle()
    wait_for(
        lambda: pipeline.command("status", "--check").returncode == 0, 120, lambda: pipeline.command("status").stdout
    )
    shown = pipeline.command("status", "--json", "--check")
    assert shown.returncode == 0, shown.stdout
    status = json.loads(shown.stdout)
    assert status["is_healthy"] is True
    assert status["connector"]["state"] == "RUNNING"
    assert status["slot"]["name"] == "debezium_orders"
    assert status["slot"]["is_active"] is True
    assert status["slot"]["retained_wal_bytes"] >= 0
    assert [model["model"] for model in status["models"]] == list(MODELS)
    for model in status["models"]:
        assert model["generation"] == pipeline.live(model["model"])
        assert {"lag_records", "staleness_s", "problem", "partitions"} <= model.keys()
        assert {"topic", "partition", "offset", "end", "lag_records"} == model["partitions"][0].keys()
    for secret in (pipeline.endpoints.replication_password, pipeline.endpoints.duckdb_token):
        assert secret not in shown.stdout
    assert "postgres-orders-cdc" in pipeline.command("status").stdout


def test_status_shows_that_a_model_has_caught_up(pipeline: Pipeline, order_id: int) -> None:
    place(pipeline.source, order_id)
    pipeline.settle()

    def has_caught_up() -> bool:
        models = json.loads(pipeline.command("status", "--json").stdout)["models"]
        return all(model["staleness_s"] == 0 for model in models)

    wait_for(has_caught_up, 60, lambda: pipeline.command("status").stdout)


def test_status_fails_its_check_while_the_connector_rests(pipeline: Pipeline) -> None:
    name = pipeline.settings.connector.name
    with closing(ConnectClient(pipeline.endpoints.connect)) as client:
        client.pause(name)
        try:
            wait_for(lambda: pipeline.command("status", "--check").returncode == 1, 60, lambda: "it is healthy")
            assert json.loads(pipeline.command("status", "--json").stdout)["is_healthy"] is False
        finally:
            client.resume(name)
            client.wait_until_running(name, 60)


def test_a_paused_model_applies_nothing_until_it_is_resumed_while_others_continue(
    pipeline: Pipeline, order_id: int
) -> None:
    assert pipeline.command("pause", "redis").returncode == 0
    try:
        pipeline.workers.says("event=paused", "model=redis")
        place(pipeline.source, order_id)
        pipeline.settle("elasticsearch", "duckdb")
        assert order_id in found_in_elasticsearch(pipeline.endpoints)
        assert order_id not in got_from_redis(pipeline.endpoints.redis)
    finally:
        resumed = pipeline.command("resume", "redis")
    assert resumed.returncode == 0
    pipeline.settled()


def test_a_run_until_caught_up_ends_by_itself_with_equal_models(pipeline: Pipeline, order_id: int) -> None:
    pipeline.end()
    with pipeline.load(100):
        place(pipeline.source, order_id)
    done = pipeline.command("run", "--until-caught-up")
    assert done.returncode == 0, done.stdout + done.stderr
    assert order_id in pipeline.equal().documents


def test_settings_are_shown_without_secrets(pipeline: Pipeline) -> None:
    shown = pipeline.command("config", "show", "--json").stdout
    assert json.loads(shown)["kafka"]["bootstrap_servers"] == pipeline.endpoints.kafka
    assert pipeline.endpoints.duckdb_token not in shown
    assert pipeline.endpoints.postgres not in shown
    assert pipeline.endpoints.postgres in pipeline.command("config", "show", "--json", "--show-secrets").stdout


def test_a_missing_config_file_is_reported_with_its_remedy(tmp_path: Path) -> None:
    failed = Command(tmp_path, config=tmp_path / "readmodels.toml")("status")
    assert (failed.returncode, failed.stdout) == (1, "")
    assert f"InvalidConfig: there is no {tmp_path}/readmodels.toml" in failed.stderr.replace("\n", "")
    assert "remedy:" in failed.stderr


def test_without_a_stack_the_missing_settings_are_named_with_the_remedy(tmp_path: Path) -> None:
    failed = Command(tmp_path)("run")
    assert (failed.returncode, failed.stdout) == (1, "")
    assert "kafka: Field required" in failed.stderr
    assert "readmodels up" in failed.stderr


def test_wrong_usage_has_an_exit_code_of_its_own(tmp_path: Path) -> None:
    for words in (("frobnicate",), ("run", "mongodb")):
        wrong = Command(tmp_path)(*words)
        assert (wrong.returncode, wrong.stdout) == (2, ""), wrong.stderr
        assert words[-1] in wrong.stderr


def test_every_command_has_a_help_text() -> None:
    for command in ("up", "down", "init", "run", "status", "sql", "pause", "resume", "teardown", "config", "demo"):
        explained = CliRunner().invoke(app, [command, "--help"])
        assert (explained.exit_code, "Usage:" in explained.stdout) == (0, True), command
