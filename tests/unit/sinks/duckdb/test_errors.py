"""Tests of the translation of DuckDB's errors: it has one exception for a full disk, a locked file and much else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from sinks.duckdb.errors import FileHeld, StoreDiskFull, translate_errors

HOLD = """
import duckdb, sys
held = duckdb.connect(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
"""


def test_the_process_that_holds_a_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "one.duckdb"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(FileHeld, match=rf"PID {holder.pid}\)"), translate_errors("duckdb"):
            duckdb.connect(file)
        holder.communicate("")


def test_a_full_disk_is_called_that() -> None:
    with pytest.raises(StoreDiskFull, match="the disk of duckdb is full"), translate_errors("duckdb"):
        raise duckdb.IOException('IO Error: Could not write file "1.duckdb": No space left on device')
