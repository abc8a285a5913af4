"""Fixtures with two sets of workers on the tests' own stack, behind relays; set up once, and removed at the end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from stack.local import LocalStack
from tests.chaos.cluster import Rig, rigged
from tests.chaos.cycle import Cycles

CHANGED = ("connect", "kafka", "redis")
"""Servers that were started for the relays, or configured to sync every write."""


@pytest.fixture(scope="package")
def rig(local_stack: LocalStack) -> Iterator[Rig]:
    """Yield running workers; restore the stack afterwards."""
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
    """Return cycles whose faults the test chooses."""
    return Cycles(rig, "short", print)
