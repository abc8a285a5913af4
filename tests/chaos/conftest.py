"""Two sets of workers on the tests' own stack, behind relays; set up once, and taken down at the end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from stack.local import LocalStack
from tests.chaos.cluster import Rig, rigged
from tests.chaos.cycle import Cycles

CHANGED = ("connect", "kafka", "redis")
"""Servers that were started for the relays, or told to sync every write."""


@pytest.fixture(scope="package")
def rig(local_stack: LocalStack) -> Iterator[Rig]:
    """Workers that run; afterwards the stack is as it was."""
    with rigged(local_stack.home) as rig:
        yield rig
        rig.end()
        undone = rig.command("teardown", "--with-tables", "--execute")
        assert undone.returncode == 0, undone.stdout + undone.stderr
    for server in CHANGED:
        local_stack.stop(server)
    local_stack.up()


@pytest.fixture(scope="package")
def cycles(rig: Rig) -> Cycles:
    """Cycles that are told what goes wrong in them."""
    return Cycles(rig, "short", print)
