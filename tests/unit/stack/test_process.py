"""Tests of processes that outlive their starter."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from stack.process import Command, Running, read_pid_file, spawn, started_at

SLEEP = "import time; time.sleep(600)"
DEAF = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); {SLEEP}"
PARENT = (
    f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {SLEEP!r}]); print('born', flush=True); {SLEEP}"
)


@pytest.fixture
def launched(tmp_path: Path) -> Iterator[list[Running]]:
    """Yield a list of the processes that a test starts, and end them after it."""
    started: list[Running] = []
    yield started
    for running in started:
        running.kill()


def launch(program: str, folder: Path, launched: list[Running]) -> Running:
    command = Command(arguments=(sys.executable, "-c", program), environment={"READMODELS_TEST": "seen"}, folder=folder)
    with (folder / "lock").open("w") as lock:
        running = spawn(command, record=folder / "record.json", log=folder / "log", guard=lock.fileno())
    launched.append(running)
    while read_pid_file(folder / "record.json") != running:
        assert running.is_alive
        time.sleep(0.01)
    return running


def await_line(log: Path, line: str) -> None:
    while line not in log.read_text():
        time.sleep(0.01)


def test_a_process_is_on_record_before_it_becomes_the_command(tmp_path: Path, launched: list[Running]) -> None:
    running = launch(SLEEP, tmp_path, launched)
    assert read_pid_file(tmp_path / "record.json") == running
    assert os.getsid(running.pid) == running.pid


def test_a_lock_is_held_until_the_process_is_on_record(tmp_path: Path, launched: list[Running]) -> None:
    lock = tmp_path / "lock"
    command = Command(arguments=(sys.executable, "-c", SLEEP), environment={}, folder=tmp_path)
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        launched.append(spawn(command, record=tmp_path / "record.json", log=tmp_path / "log", guard=held.fileno()))
    with lock.open("w") as next_one:
        fcntl.flock(next_one, fcntl.LOCK_EX)
        assert read_pid_file(tmp_path / "record.json") == launched[0]


def test_a_process_gets_what_it_is_given_and_little_of_its_starters_environment(
    tmp_path: Path, launched: list[Running], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOMEBODYS_TOKEN", "secret")
    launch(f"import os; print(dict(os.environ), os.getcwd(), flush=True); {SLEEP}", tmp_path, launched)
    await_line(tmp_path / "log", str(tmp_path))
    assert "'READMODELS_TEST': 'seen'" in (tmp_path / "log").read_text()
    assert "SOMEBODYS_TOKEN" not in (tmp_path / "log").read_text()


def test_a_process_id_that_was_given_to_another_process_is_not_mistaken_for_it() -> None:
    here = Running(os.getpid(), started_at(os.getpid()))
    assert here.is_alive
    assert not replace(here, started=here.started - 1).is_alive


def test_a_process_that_does_not_heed_the_signal_is_ended_after_a_while(
    tmp_path: Path, launched: list[Running]
) -> None:
    running = launch(DEAF, tmp_path, launched)
    await_line(tmp_path / "log", "deaf")
    running.stop(signal.SIGTERM, patience_s=0.2)
    assert not running.is_alive


def test_children_end_with_their_parent(tmp_path: Path, launched: list[Running]) -> None:
    running = launch(PARENT, tmp_path, launched)
    await_line(tmp_path / "log", "born")
    (child,) = psutil.Process(running.pid).children()
    running.kill()
    assert not running.is_alive
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


def test_stopping_what_has_ended_does_nothing(tmp_path: Path, launched: list[Running]) -> None:
    running = launch(SLEEP, tmp_path, launched)
    running.kill()
    running.stop(signal.SIGTERM, patience_s=0)
    running.kill()
    assert not running.is_alive


def test_a_process_survives_its_starter(tmp_path: Path, launched: list[Running]) -> None:
    starter = (
        "import sys; from pathlib import Path; from stack.process import Command, spawn; folder = Path(sys.argv[1]);"
        f"command = Command(arguments=(sys.executable, '-c', {SLEEP!r}), environment={{}}, folder=folder);"
        "spawn(command, record=folder / 'record.json', log=folder / 'log', guard=sys.stdin.fileno())"
    )
    subprocess.run([sys.executable, "-c", starter, str(tmp_path)], stdin=subprocess.DEVNULL, check=True)
    while (running := read_pid_file(tmp_path / "record.json")) is None:
        time.sleep(0.01)
    launched.append(running)
    assert running.is_alive
