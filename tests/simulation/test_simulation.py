"""Tests that a read model equals its source after any faults of workers and stores."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.simulation.seeds import KEPT, Seed

SEEDS = {"elasticsearch": 60, "redis": 60, "duckdb": 8}
"""The number of histories that a check runs."""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run seeds in a new process with fixed string hashes."""
    command = [sys.executable, "-m", "tests.simulation", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("model", SEEDS)
def test_a_model_equals_its_source_after_every_storm(model: str) -> None:
    ran = run(model, "--seeds", str(SEEDS[model]))
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize("seed", KEPT, ids=lambda seed: f"{seed.model} {seed.seed}: {seed.met}")
def test_a_seed_that_ended_wrong_once_ends_well(seed: Seed) -> None:
    ran = run(seed.model, "--first", str(seed.seed), "--seeds", "1")
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_a_seed_decides_everything() -> None:
    one, other = (run("redis", "--first", "7", "--seeds", "1", "--trace").stdout for _ in range(2))
    told = [line for line in one.splitlines() if " a minute of " not in line]
    assert len(told) > 10
    assert told == [line for line in other.splitlines() if " a minute of " not in line]
