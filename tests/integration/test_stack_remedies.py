"""Tests of the remedies of a local stack whose only server is Redis, carried out as printed."""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from stack import local, preconditions, startup
from stack.local import SERVERS, LocalStack
from stack.redis import Redis
from tests.remedies.commands import commands
from tests.remedies.shell import Ended, Shell

LISTEN = "import socket, sys; s = socket.create_server(('127.0.0.1', int(sys.argv[1]))); print(flush=True); s.accept()"


@pytest.fixture
def home() -> Iterator[Path]:
    """Yield a folder that the servers' user may enter, even if root runs the tests."""
    with tempfile.TemporaryDirectory(prefix="readmodels-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder) / "home"


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], home: Path) -> Iterator[Shell]:
    """Yield the command line of a stack that has never been started."""
    servers = dict(SERVERS)
    for name in servers.keys() - {"redis"}:
        del SERVERS[name]
    monkeypatch.setenv("NO_COLOR", "1")
    try:
        yield Shell(monkeypatch, capsys, "--home", str(home))
        LocalStack(home).down()
    finally:
        # Keep the order: each server follows those that it depends on.
        SERVERS.clear()
        SERVERS.update(servers)


def failed(ended: Ended, *words: str) -> str:
    """Return the remedy of a command that failed with these words."""
    assert ended.code == 1
    for word in words:
        assert word in ended.complained
    return ended.remedy


@pytest.fixture
def taken(shell: Shell, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, str]]:
    """Yield the process that listens at the port of Redis, and the remedy of the start that failed because of it."""
    monkeypatch.setattr(preconditions, "_PORT_FREE_WITHIN_S", 0)
    shell.follow("`readmodels up`, `readmodels down`")
    port = json.loads((home / "ports.json").read_text())["redis"]
    other = subprocess.Popen([sys.executable, "-c", LISTEN, str(port)], stdout=subprocess.PIPE)
    assert other.stdout is not None
    other.stdout.readline()
    remedy = failed(shell("up"), f"process {other.pid}")
    yield other.pid, remedy
    other.kill()
    other.wait()


def test_a_start_succeeds_once_the_process_at_its_port_has_ended(taken: tuple[int, str], shell: Shell) -> None:
    pid, remedy = taken
    end, _ = remedy.split(" Or ")
    assert end.startswith("End that process")
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    shell.follow(end)


def test_a_start_chooses_other_ports_once_the_file_of_ports_is_deleted(
    taken: tuple[int, str], shell: Shell, home: Path
) -> None:
    _, choose_others = taken[1].split(" Or ")
    before = (home / "ports.json").read_text()
    down, up = commands(choose_others)
    assert shell(*down).code == 0
    Path(re.findall(r"delete (\S+)", choose_others)[0]).unlink()
    assert shell(*up).code == 0
    assert (home / "ports.json").read_text() != before


def test_a_server_that_died_starts_once_the_cause_that_its_log_names_is_removed(shell: Shell, home: Path) -> None:
    shell.follow("`readmodels up`, `readmodels down`")
    file = next((home / "data/redis").resolve().rglob("*.aof"))
    kept = file.read_bytes()
    file.write_text("this is no log of writes\n")
    remedy = failed(shell("up"), "Bad file format reading the append only file", file.name)
    assert remedy.startswith("Remove the cause that the end of its log names")
    file.write_bytes(kept)
    shell.follow(remedy)


def test_a_server_that_hangs_is_replaced(shell: Shell, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Redis, "stop_patience_s", 0.1)
    shell.follow("`readmodels up`")
    hanging = LocalStack(home).pid("redis")
    assert hanging
    os.kill(hanging, signal.SIGSTOP)
    with monkeypatch.context() as impatient:
        impatient.setattr(startup, "_BOOT_WITHIN_S", 0)
        remedy = failed(shell("up"), f"runs as process {hanging}, and does not answer")
    shell.follow(remedy)
    assert LocalStack(home).pid("redis") not in {None, hanging}


def test_a_command_succeeds_once_the_other_process_has_ended(
    shell: Shell, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "_OTHERS_FINISH_WITHIN_S", 0)
    shell.follow("`readmodels up`")
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        remedy = failed(shell("down"), "is starting or stopping the stack")
    assert remedy == "Wait until that process has ended, then run the command again."
    assert shell("down").code == 0


def test_a_start_succeeds_once_there_is_room_on_the_disk(
    shell: Shell, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ballast = home / "ballast"
    room, wanted = 600 * 2**20, 200 * 2**20
    home.mkdir()
    with ballast.open("wb") as file:
        file.truncate(wanted)

    def usage(folder: Path) -> SimpleNamespace:
        return SimpleNamespace(free=room - sum(path.stat().st_size for path in Path(folder).glob("ballast")))

    monkeypatch.setattr("shutil.disk_usage", usage)
    remedy = failed(shell("up"), f"{home} has 400 MiB of disk left; the servers need 512 MiB")
    assert remedy.startswith("Free disk space there")
    ballast.unlink()
    shell.follow(remedy)
