"""Tests of processes that are started, restarted, and ended together."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil
import pytest

from pipeline.runtime.process import EXIT_STOPPED, EXIT_TEMPFAIL
from pipeline.runtime.supervisor import Supervisor
from tests.support.checkout import CHECKOUT

SAY = "import os, sys; print(os.getpid(), flush=True)"
SLEEP = f"{SAY}; import time; time.sleep(600)"
DEAF = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEP}"
POLITE = """
import threading
from pipeline.runtime.process import stop_on_signals
until = threading.Event()
stop_on_signals(until)
print("ready", flush=True)
until.wait()
print("finished", flush=True)
"""
LEASHED = """
import os, threading
from pipeline.runtime.process import stop_with_parent
until = threading.Event()
stop_with_parent(until)
print(os.getpid(), flush=True)
until.wait()
"""
STUCK = LEASHED.replace("stop_with_parent(until)", "stop_with_parent(until, grace_s=0.1)").replace(
    "until.wait()", "threading.Event().wait()"
)
PARENT = """
import sys, threading
from pathlib import Path
from pipeline.runtime.supervisor import Supervisor
from tests.support.checkout import CHECKOUT

from tests.support.checkout import CHECKOUT
Supervisor(lambda model: [sys.executable, "-c", sys.argv[1]], Path(sys.argv[2])).run(["one"], threading.Event())
"""


class Running:
    """A supervisor on a thread, with its children's output."""

    def __init__(
        self, log: Path, programs: dict[str, str], grace_s: float = 60.0, live: Callable[[], int | None] | None = None
    ) -> None:
        self.log = log
        self.until = threading.Event()
        self.supervisor = Supervisor(lambda model: [sys.executable, "-c", programs[model]], log, grace_s)
        self.supervisor.live = None if live is None else lambda _: live()
        self.supervisor.look_every_s = 0.01
        self._models = list(programs)
        self._codes: list[int] = []
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        self._codes.append(self.supervisor.run(self._models, self.until))

    def lines(self, count: int) -> list[str]:
        """Wait until the children have written `count` lines."""
        wait_for(lambda: self.log.exists() and len(self.log.read_text().splitlines()) >= count)
        return self.log.read_text().splitlines()

    def end(self) -> int:
        """End the supervisor, and return its exit code."""
        self.until.set()
        return self.code()

    def code(self) -> int:
        """Wait for the supervisor's exit code."""
        self._thread.join()
        return self._codes[0]


def wait_for(is_so: Callable[[], bool]) -> None:
    while not is_so():
        time.sleep(0.01)


def pids(lines: Sequence[str]) -> list[int]:
    return [int(line) for line in lines if line.isdigit()]


def test_a_supervisor_ends_well_once_every_child_has(tmp_path: Path) -> None:
    running = Running(tmp_path / "log", {"one": SAY, "other": SAY})
    assert running.code() == 0
    assert [child.exit_code for child in running.supervisor.children] == [0, 0]


def test_a_process_that_crashed_is_restarted_after_a_growing_pause(tmp_path: Path) -> None:
    began = time.monotonic()
    program = f"{SAY}; sys.exit({EXIT_TEMPFAIL})"
    running = Running(tmp_path / "log", {"one": program})
    assert len(set(pids(running.lines(3)))) == 3
    assert time.monotonic() - began >= 1.0 + 2.0
    assert running.supervisor.children[0].crashes >= 2
    assert running.end() == 0


def test_a_child_that_was_killed_is_started_again(tmp_path: Path) -> None:
    running = Running(tmp_path / "log", {"one": SLEEP})
    (first,) = pids(running.lines(1))
    psutil.Process(first).kill()
    second = pids(running.lines(2))[1]
    assert second != first
    assert psutil.Process(second).is_running()
    running.end()
    assert not psutil.pid_exists(second)


def test_a_process_that_only_an_operator_can_repair_stays_down_while_others_continue(tmp_path: Path) -> None:
    programs = {"stopped": f"import sys; sys.exit({EXIT_STOPPED})", "other": SLEEP}
    running = Running(tmp_path / "log", programs)
    wait_for(lambda: any(child.is_over for child in running.supervisor.children))
    stopped, other = running.supervisor.children
    assert (stopped.model, stopped.exit_code) == ("stopped", EXIT_STOPPED)
    assert psutil.Process(pids(running.lines(1))[0]).is_running()
    assert not other.is_over
    assert running.end() == EXIT_STOPPED


def test_a_child_that_stopped_is_started_again_once_another_generation_is_live(tmp_path: Path) -> None:
    once = f"{SAY}; from pathlib import Path; mark = Path({str(tmp_path / 'mark')!r}); first = not mark.exists()"
    programs = {"one": f"{once}; mark.touch(); first and sys.exit({EXIT_STOPPED}); import time; time.sleep(600)"}
    running = Running(tmp_path / "log", {**programs, "other": SLEEP}, live=iter([1, 1, None, 1, 2]).__next__)
    assert len(set(pids(running.lines(3)))) == 3
    assert running.end() == 0


def test_a_supervisor_whose_only_process_stopped_reports_it(tmp_path: Path) -> None:
    assert Running(tmp_path / "log", {"one": f"import sys; sys.exit({EXIT_STOPPED})"}).code() == EXIT_STOPPED


def test_processes_are_terminated_and_finish_their_batch(tmp_path: Path) -> None:
    running = Running(tmp_path / "log", {"one": POLITE, "other": POLITE})
    running.lines(2)
    assert running.end() == 0
    assert running.lines(4).count("finished") == 2


def test_a_process_that_is_stopped_before_it_handles_signals_has_ended_well(tmp_path: Path) -> None:
    running = Running(tmp_path / "log", {"one": SLEEP})
    running.lines(1)
    assert running.end() == 0
    assert running.supervisor.children[0].exit_code == -signal.SIGTERM


def test_a_child_that_does_not_end_is_killed_after_its_grace(tmp_path: Path) -> None:
    running = Running(tmp_path / "log", {"one": DEAF}, grace_s=0.2)
    (pid,) = pids(running.lines(1))
    assert running.end() == EXIT_STOPPED
    assert running.supervisor.children[0].exit_code == -signal.SIGKILL
    assert not psutil.pid_exists(pid)


@pytest.mark.parametrize("program", [LEASHED, STUCK], ids=["listening", "stuck"])
def test_no_child_outlives_a_parent_that_was_killed(program: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, program, str(log)],
        cwd=CHECKOUT,
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    ) as parent:
        try:
            wait_for(lambda: log.exists() and bool(pids(log.read_text().splitlines())))
            child = psutil.Process(pids(log.read_text().splitlines())[0])
            assert child.ppid() == parent.pid
        finally:
            parent.kill()
    psutil.wait_procs([child])
    assert not child.is_running()


def test_a_second_signal_ends_a_process_at_once(tmp_path: Path) -> None:
    program = POLITE.replace("until.wait()\n", "until.wait(); print('asked', flush=True); threading.Event().wait()\n")
    with subprocess.Popen([sys.executable, "-c", program], cwd=CHECKOUT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "asked\n"
        process.send_signal(signal.SIGINT)
        assert process.wait() == 128 + signal.SIGINT
