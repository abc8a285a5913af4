"""Tests of the command line without servers: help, wrong usage, settings, and queries of DuckDB."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog

from connectors.kafka import KafkaUnavailable
from connectors.kafka_connect import ConnectUnavailable
from sinks.errors import StoreUnavailable
from tests.remedies.shell import SETTINGS, SHIPPED, Ended, Shell, show_nothing

COMMANDS = ("demo", "up", "down", "introspect", "init", "run", "status", "sql", "pause", "resume", "teardown", "config")
HOLD = """
import sys
from pathlib import Path
from sinks.duckdb.store import DuckdbStore
store = DuckdbStore(Path(sys.argv[1]), [])
store.open()
print("open", flush=True)
sys.stdin.read()
"""
Values = dict[str, object]


Command = Callable[..., Ended]


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Iterator[Command]:
    """Yield the command in an empty directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")

    yield Shell(monkeypatch, capsys)
    structlog.reset_defaults()


@pytest.fixture
def command(bare: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Command:
    """Return the command with the shipped definitions, settings in the environment, and servers that do not answer."""
    for name, value in SETTINGS.items():
        monkeypatch.setenv(f"READMODELS_{name}", value)
    monkeypatch.setenv("READMODELS_DUCKDB__DIRECTORY", str(tmp_path / "duckdb"))
    return lambda *words: bare("--config", str(SHIPPED), *words)


@pytest.fixture
def analytics(command: Command, tmp_path: Path) -> Command:
    """Return the same command, with an empty live generation of DuckDB."""
    show_nothing(tmp_path / "duckdb")
    return command


def test_help_teaches_what_to_type_first(bare: Command) -> None:
    helped = bare("--help")
    assert helped.code == 0
    steps = ("readmodels introspect 'sales.*'", "readmodels init --execute", "readmodels run")
    assert [helped.said.find(step) for step in steps] == sorted(map(helped.said.index, steps))
    for name in COMMANDS:
        assert f" {name} " in helped.said
    assert " work " not in helped.said


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_describes_itself(name: str, bare: Command) -> None:
    helped = bare(name, "-h")
    assert helped.code == 0
    assert "Usage:" in helped.said
    assert f"{name} [OPTIONS]" in helped.said


def test_the_version_is_that_of_the_distribution(bare: Command) -> None:
    assert bare("--version") == Ended(0, "0.2.0\n", "")


@pytest.mark.parametrize(
    "words",
    [
        ("frobnicate",),
        ("run", "--processes", "0"),
        ("run", "--no-such-option"),
        ("sql",),
        ("sql", "SELECT 1", "--format", "xml"),
        ("config",),
        (),
    ],
)
def test_wrong_usage_has_a_code_of_its_own(words: tuple[str, ...], bare: Command) -> None:
    ended = bare(*words)
    assert ended.code == 2
    assert "Usage:" in ended.said + ended.complained


@pytest.mark.parametrize("words", [("status",), ("sql", "SELECT 1"), ("config", "show"), ("run",), ("init",)])
def test_a_missing_config_file_is_reported_with_the_remedy(words: tuple[str, ...], bare: Command) -> None:
    ended = bare(*words)
    assert (ended.code, ended.said) == (1, "")
    assert "InvalidConfig: there is no readmodels.toml" in ended.complained
    assert "remedy: Create readmodels.toml" in ended.complained


def test_missing_settings_are_named_with_the_remedy(bare: Command) -> None:
    ended = bare("--config", str(SHIPPED), "status", "--json")
    assert (ended.code, ended.said) == (1, "")
    assert "kafka: Field required" in ended.complained
    assert "readmodels up" in ended.complained


def test_settings_are_one_json_object_that_shows_no_secret(command: Command) -> None:
    shown = command("config", "show", "--json")
    assert (shown.code, shown.complained) == (0, "")
    settings = json.loads(shown.said)
    assert settings["kafka"] == {"bootstrap_servers": "127.0.0.1:1", "client": {}}
    assert settings["redis"]["url"] == "redis://:********@127.0.0.1:1/0"
    assert settings["tables"]["orders"]["columns"]["total"] == "numeric(12,2)"
    assert "hidden" not in shown.said
    plain = command("config", "show")
    assert "127.0.0.1:1" in plain.said
    assert "hidden" not in plain.said


def test_secrets_are_shown_on_request(command: Command) -> None:
    settings = json.loads(command("config", "show", "--json", "--show-secrets").said)
    assert settings["redis"]["url"] == SETTINGS["REDIS__URL"]
    assert settings["duckdb"]["token"] == "hidden"


def test_an_answer_keeps_every_value_exactly(analytics: Command) -> None:
    query = """
        SELECT 12.30::DECIMAL(12,2) AS money, TIMESTAMPTZ '2026-01-02 03:04:05.000006+00' AS moment,
               'infinity'::TIMESTAMPTZ AS never, DATE '12000-01-08' AS later, 'infinity'::DATE AS no_day,
               TIME '24:00' AS midnight, '\\x00\\xFF'::BLOB AS bytes, 'nan'::DOUBLE AS no_number, 0.5::DOUBLE AS half,
               9223372036854775807 AS big, NULL AS nothing, [DATE '2026-01-02', NULL] AS days, true AS yes,
               '[red]it''s[/] "plain", text' AS words
    """
    expected: Values = {
        "money": "12.30",
        "moment": "2026-01-02T03:04:05.000006Z",
        "never": "infinity",
        "later": "+012000-01-08",
        "no_day": "infinity",
        "midnight": "24:00:00.000000",
        "bytes": "AP8=",
        "no_number": "NaN",
        "half": 0.5,
        "big": 9_223_372_036_854_775_807,
        "nothing": None,
        "days": ["2026-01-02", None],
        "yes": True,
        "words": '[red]it\'s[/] "plain", text',
    }
    for answer in (analytics("sql", query, "--json"), analytics("sql", query, "--format", "json")):
        assert answer.code == 0
        assert answer.complained.startswith("no change applied yet; how many records are not read yet is not known")
        assert json.loads(answer.said) == [expected]
    (row,) = csv.DictReader(io.StringIO(analytics("sql", query, "--format", "csv").said))
    assert row == {name: "" if value is None else str(value) for name, value in expected.items()}
    table = analytics("sql", "SELECT '[red]it''s[/]' AS \"[b]words\", NULL AS nothing").said
    assert [line.split() for line in table.splitlines()] == [["[b]words", "nothing"], ["[red]it's[/]", "NULL"]]


def test_rows_with_columns_of_one_name_are_answered(analytics: Command) -> None:
    assert json.loads(analytics("sql", "SELECT 1 AS id, 2 AS id", "--json").said) == [{"id": 1, "id_1": 2}]


def test_the_tables_of_the_live_generation_are_there_to_ask(analytics: Command) -> None:
    assert json.loads(analytics("sql", "SELECT count(*) AS orders FROM orders", "--json").said) == [{"orders": 0}]
    assert json.loads(analytics("sql", "FROM order_items_history", "--json").said) == []
    assert "order_items" in analytics("sql", "SHOW ALL TABLES").said


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM orders",
        "PRAGMA database_list",
        "SELECT 1; SELECT 2",
        "ATTACH 'x'",
        "FROM read_text('/etc/passwd')",
        "SELECT json_serialize_plan('from pandas_scan(null)')",
    ],
)
def test_a_statement_that_does_more_than_read_is_refused_with_the_remedy(query: str, analytics: Command) -> None:
    refused = analytics("sql", query)
    assert (refused.code, refused.said) == (1, "")
    assert "QueryRefused" in refused.complained
    assert "remedy: Ask with one SELECT" in refused.complained


@pytest.mark.parametrize(
    ("query", "objection"),
    [
        ("SELECT no_such_column FROM orders", "no_such_column"),
        ("FROM settings", "settings"),
    ],
)
def test_a_statement_that_fails_prints_duckdbs_message(query: str, objection: str, analytics: Command) -> None:
    failed = analytics("sql", query)
    assert (failed.code, failed.said) == (1, "")
    assert "QueryFailed" in failed.complained
    assert objection in failed.complained


def test_a_query_before_there_is_a_model_prints_a_remedy(command: Command) -> None:
    failed = command("sql", "SELECT 1")
    assert (failed.code, failed.said) == (1, "")
    assert "GenerationMissing" in failed.complained
    assert "readmodels init" in failed.complained


def test_a_query_to_a_worker_that_serves_no_readers_prints_a_remedy(analytics: Command, tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "duckdb")],
        cwd=SHIPPED.parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    # Its end of the pipe closes with this block, which ends the process.
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"open\n"
        failed = analytics("sql", "SELECT 1")
    assert failed.code == 1
    assert "QuackNotServed" in failed.complained


def test_status_names_every_server_that_does_not_answer_and_fails_its_check(command: Command) -> None:
    ended = command("status", "--json", "--check")
    status = json.loads(ended.said)
    assert (ended.code, status["is_healthy"]) == (1, False)
    named = {(problem["subject"], problem["remedy"]) for problem in status["problems"]}
    assert {
        ("connector", ConnectUnavailable.remedy),
        ("elasticsearch", StoreUnavailable.remedy),
        ("redis", StoreUnavailable.remedy),
        ("redis", KafkaUnavailable.remedy),
        ("duckdb", KafkaUnavailable.remedy),
    } <= named
    assert "slot" in {subject for subject, _ in named}
