"""The bound of a worker's memory, in a process of its own."""

from __future__ import annotations

import subprocess
import sys

_PROGRAM = """
import duckdb
from pipeline.memory import MemoryBound, data_bytes

with duckdb.connect(config={"memory_limit": "200MB"}) as connection:
    connection.execute("SELECT 1").fetchall()
    MemoryBound(data_bytes() + 2**30).apply()
    for query in QUERIES:
        try:
            print("answered", connection.execute(query).fetchall())
        except duckdb.OutOfMemoryException:
            print("out of memory")
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
