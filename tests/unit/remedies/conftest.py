"""Fixtures with the command line for tests that carry out remedies."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from tests.remedies.shell import SETTINGS, SHIPPED, Shell, show_nothing


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Iterator[Shell]:
    """Yield the command line in an empty directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")
    for name in [name for name in os.environ if name.startswith("READMODELS_")]:
        monkeypatch.delenv(name)
    yield Shell(monkeypatch, capsys)
    structlog.reset_defaults()


@pytest.fixture
def described(shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Shell:
    """Return the same, with the shipped definitions, and settings in the environment."""
    (tmp_path / "readmodels.toml").write_text(SHIPPED.read_text())
    for name, value in SETTINGS.items():
        monkeypatch.setenv(f"READMODELS_{name}", value)
    monkeypatch.setenv("READMODELS_DUCKDB__DIRECTORY", str(tmp_path / "duckdb"))
    return shell


@pytest.fixture
def analytics(described: Shell, tmp_path: Path) -> Shell:
    """Return the same, with an empty live generation of DuckDB."""
    show_nothing(tmp_path / "duckdb")
    return described
