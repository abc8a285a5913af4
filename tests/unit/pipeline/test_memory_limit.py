"""Tests of a worker's memory limit, in a separate process."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import MutableMapping
from typing import Any

import pytest
from structlog.testing import capture_logs

from pipeline.ingest.retry import RecoveryAction, action_for
from pipeline.memory_limit import MemoryExhausted, MemoryLimit, data_bytes
from sinks.errors import MemoryRefused
from tests.remedies.commands import settings

_PROGRAM = """
import duckdb
from pipeline.memory_limit import MemoryLimit, data_bytes

with duckdb.connect(config={"memory_limit": "200MB"}) as connection:
    connection.execute("SELECT 1").fetchall()
    MemoryLimit(data_bytes() + 2**30).apply()
    for query in QUERIES:
        try:
            print("answered", connection.execute(query).fetchall())
        except duckdb.OutOfMemoryException:
            print("out of memory")
"""
_EXHAUSTED = """
import json, resource, sys
import duckdb
import pyarrow
from pipeline.config import DuckdbSettings
from pipeline.memory_limit import MemoryLimit, MemoryExhausted, data_bytes, named_exhaustion
from sinks.duckdb.errors import translate_errors
from sinks.duckdb.serving import memory_bytes

def write(connection):
    with translate_errors("orders"):
        connection.execute("CREATE OR REPLACE TABLE orders AS SELECT range, repeat('x', 500) FROM range(1000000)")

def allocate(_):
    pyarrow.allocate_buffer(2**29)

def bound(connection, **headroom):
    return data_bytes() + memory_bytes(connection, DuckdbSettings(**headroom).memory_headroom)[1]

with duckdb.connect(config={"memory_limit": "4GB"}) as connection:
    work = {"write": write, "allocate": allocate}[sys.argv[1]]
    small = bound(connection, memory_headroom="64MB")
    if sys.argv[2] == "own":
        MemoryLimit(small).apply()
    else:
        small = bound(connection, memory_headroom=sys.argv[2])
        resource.setrlimit(resource.RLIMIT_DATA, (small, small))
    told = ["", ""]
    is_lifted = False
    try:
        with named_exhaustion():
            work(connection)
    except MemoryExhausted as error:
        told = [str(error), error.remedy]
        is_lifted = resource.getrlimit(resource.RLIMIT_DATA)[0] == resource.RLIM_INFINITY
    if sys.argv[2] == "own":
        MemoryLimit(bound(connection, memory_headroom="2GB")).apply()
        work(connection)
    print(json.dumps([small, is_lifted, *told]))
"""
QUERIES = [
    "SELECT length(repeat('x', 2000000000))",
    "SELECT length(printf('%2000000000d', 1))",
    "SELECT len(range(1000000000))",
    "SELECT 42",
]


def test_a_value_beyond_the_bound_fails_its_own_query_only() -> None:
    program = _PROGRAM.replace("QUERIES", repr(QUERIES))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [*["out of memory"] * 3, "answered [(42,)]"]


@pytest.mark.parametrize("work", ["write", "allocate"])
def test_a_process_that_is_refused_memory_ends_with_its_bound_and_works_with_a_larger_one(work: str) -> None:
    limit_bytes, is_lifted, problem, remedy = exhausted(work, "own")
    assert "the kernel refused memory" in problem
    assert f"a bound of {limit_bytes:,} bytes by `duckdb.memory_headroom`" in problem
    assert ("duckdb", "memory_headroom") in settings(remedy)
    assert is_lifted


def test_a_bound_that_is_not_the_workers_own_is_named_and_raised() -> None:
    limit_bytes, _, problem, remedy = exhausted("allocate", "64MB")
    assert f"a bound of {limit_bytes:,} bytes by `ulimit -d`" in problem
    assert "give its process more memory (`ulimit -d`" in remedy
    assert exhausted("allocate", "2GB")[2:] == ("", "")


def test_a_process_near_its_bound_warns_until_the_bound_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.memory_limit.WATCHED_EVERY_S", 0.001)
    told = warnings(data_bytes())
    assert told
    assert settings(told[0]["remedy"]) == [("duckdb", "memory_headroom")]
    assert warnings(4 * data_bytes()) == []


def warnings(limit_bytes: int) -> list[MutableMapping[str, Any]]:
    """Return the log lines of the first checks against a limit."""
    looks = iter([False, True])

    class Looks(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:  # noqa: ARG002
            return next(looks, True)

    with capture_logs() as logged:
        MemoryLimit(limit_bytes)._watch(Looks())
    return logged


@pytest.mark.parametrize("error", [MemoryError(), MemoryExhausted("refused", is_bounded=True), MemoryRefused("DuckDB")])
def test_a_worker_that_is_refused_memory_is_started_again(error: Exception) -> None:
    assert action_for(error) is RecoveryAction.RESTART


def exhausted(*words: str) -> tuple[int, bool, str, str]:
    """Let a separate process reach its limit; return the limit, whether it was lifted, the problem and the remedy."""
    done = subprocess.run([sys.executable, "-c", _EXHAUSTED, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    limit_bytes, is_lifted, problem, remedy = json.loads(done.stdout.splitlines()[-1])
    return limit_bytes, is_lifted, problem, remedy
