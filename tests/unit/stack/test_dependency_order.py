"""Tests that servers start after those that they need, and stop before them."""

from __future__ import annotations

import threading

import pytest

from stack.dependency_order import run_in_dependency_order
from stack.local import SERVERS

NEEDS = {"cellar": (), "shed": (), "house": ("cellar",), "roof": ("house", "shed")}


def test_every_step_runs_after_its_dependencies() -> None:
    done: list[str] = []
    run_in_dependency_order(NEEDS, done.append, threading.Event())
    assert set(done) == set(NEEDS)
    for name, needed in NEEDS.items():
        assert all(done.index(other) < done.index(name) for other in needed)


def test_independent_steps_run_at_the_same_time() -> None:
    both = threading.Barrier(2, timeout=10)

    def build(_name: str) -> None:
        both.wait()

    run_in_dependency_order({"cellar": (), "shed": ()}, build, threading.Event())
    assert not both.broken


def test_after_a_failure_the_rest_is_done_and_what_waits_for_it_is_not() -> None:
    done: list[str] = []

    def build(name: str) -> None:
        if name == "cellar":
            raise RuntimeError("the cellar is under water")
        done.append(name)

    with pytest.raises(RuntimeError, match="under water"):
        run_in_dependency_order(NEEDS, build, threading.Event())
    assert done == ["shed"]


def test_servers_are_listed_after_those_that_they_need() -> None:
    names = list(SERVERS)
    for name, kind in SERVERS.items():
        assert all(names.index(needed) < names.index(name) for needed in kind.needs)
