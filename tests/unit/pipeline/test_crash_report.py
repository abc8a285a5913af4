"""Tests that an unexpected exception ends a command with a clear message, and a report file without row values."""

from __future__ import annotations

import re
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from pipeline.cli.commands import MODULES
from pipeline.cli.context import Context
from pipeline.cli.main import main

ROW = "zebra4711"
ARGUMENTS = {
    "introspect": ["orders"],
    "snapshot": ["orders"],
    "sql": ["SELECT 1 AS zebra4711"],
    "replay": ["redis"],
    "export": ["orders", "--to", "lake"],
    "epoch": ["show"],
    "config": ["show"],
    "work": ["redis"],
}
UNEXPECTED = (
    KeyError(ROW),
    OverflowError(ROW),
    NotImplementedError(),
    pa.ArrowInvalid(ROW),
    UnicodeEncodeError("ascii", ROW, 0, 1, "ordinal not in range"),
)
WORKER = """
import os, sys
from pipeline.cli.context import Context
from pipeline.cli.main import main
def settings(context): raise KeyError("zebra4711")
Context.settings = settings
sys.argv = ["readmodels", "--home", os.environ["READMODELS_TEST_HOME"], "work", "redis"]
main()
"""
Fail = Callable[[str, Exception], tuple[int, str, Path]]


@pytest.fixture
def fail(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Fail:
    """Return a function that runs a failing command; it returns the exit code, the output and the report file."""
    home = tmp_path / "home"
    home.mkdir()

    def run(command: str, error: Exception) -> tuple[int, str, Path]:
        def raises(*_: object, **__: object) -> None:
            raise error

        monkeypatch.setattr(Context, "settings", raises)
        monkeypatch.setattr(Context, "source_url", property(raises))
        monkeypatch.setattr(Context, "stack", property(raises))
        monkeypatch.setattr(sys, "argv", ["readmodels", "--home", str(home), command, *ARGUMENTS.get(command, [])])
        with pytest.raises(SystemExit) as ended:
            main()
        complained = capsys.readouterr().err
        named = re.search(r"Send (\S+\.log)", complained)
        assert named, complained
        assert isinstance(ended.value.code, int)
        return ended.value.code, complained, Path(named.group(1))

    return run


@pytest.mark.parametrize("command", [command for command in MODULES if command != "work"])
def test_every_command_ends_with_a_message_of_the_product(command: str, fail: Fail) -> None:
    code, complained, file = fail(command, KeyError(ROW))
    assert code == 1
    assert "error: unexpected KeyError, at pipeline/cli/" in complained
    assert f"command: readmodels --home … {command}" in file.read_text()


@pytest.mark.parametrize("error", UNEXPECTED, ids=lambda error: type(error).__name__)
def test_no_row_value_is_shown_or_written(error: Exception, fail: Fail, tmp_path: Path) -> None:
    _, complained, file = fail("sql", error)
    written = file.read_text()
    assert ROW not in complained + written
    assert type(error).__name__ in complained
    assert "Traceback" in written
    assert "pipeline/cli/sql.py" in written


def test_the_file_is_for_its_owner_only(fail: Fail, tmp_path: Path) -> None:
    _, _, file = fail("status", KeyError(ROW))
    assert file.is_relative_to(tmp_path / "home")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_worker_that_fails_unexpectedly_reports_it_and_does_not_restart(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", WORKER],
        env={"READMODELS_TEST_HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path / "state")},
        stdin=subprocess.PIPE,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert 'event="worker failed" model=redis' in ended.stderr
    assert "error: unexpected KeyError, at pipeline/cli/run.py" in ended.stderr
    assert ROW not in ended.stderr + "".join(file.read_text() for file in tmp_path.rglob("*.log"))


def test_a_file_that_may_not_be_written_is_named_with_the_right_that_lacks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied", "/data/report.html")

    monkeypatch.setattr(Context, "settings", refuse)
    monkeypatch.setattr(sys, "argv", ["readmodels", "status"])
    with pytest.raises(SystemExit):
        main()
    assert "Let the user of this process read and write /data/report.html" in capsys.readouterr().err
