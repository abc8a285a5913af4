"""Tests of programs in packages that the servers' user may not read: they are copied, completely."""

from __future__ import annotations

import subprocess
from pathlib import Path

from stack.programs import Programs


def test_copied_programs_run(tmp_path: Path) -> None:
    copied = Programs(tmp_path / "programs" / "root").reached_by(lambda _: False)
    for program in (copied.postgres / "initdb", copied.postgres / "postgres", copied.redis_server):
        assert program.is_relative_to(tmp_path)
        subprocess.run([program, "--version"], check=True, capture_output=True)


def test_programs_that_can_be_read_are_not_copied(tmp_path: Path) -> None:
    programs = Programs(tmp_path / "programs" / "root")
    assert programs.reached_by(lambda _: True) is programs
