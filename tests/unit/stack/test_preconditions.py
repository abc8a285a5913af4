"""Tests that a server starts only if its ports are free and the disk has room."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from stack import preconditions
from stack.errors import DiskFull, PortTaken, ServerDied, startup_error
from stack.preconditions import require_free, room_on_disk


def test_a_port_in_use_is_reported_with_the_server_the_user_and_the_remedy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(preconditions, "_PORT_FREE_WITHIN_S", 0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(PortTaken) as caught:
            require_free(port, "kafka", tmp_path / "ports.json")
    assert f"Port {port}, which kafka has" in str(caught.value)
    assert f"process {os.getpid()}" in str(caught.value)
    assert str(tmp_path / "ports.json") in caught.value.remedy


def test_a_disk_that_fills_up_on_the_way_is_called_full(tmp_path: Path) -> None:
    with pytest.raises(DiskFull, match="is full"), room_on_disk(tmp_path):
        Path("/dev/full").write_text("one byte too many")


def test_too_little_room_is_refused_before_anything_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preconditions, "_ROOM_NEEDED_BYTES", 2**80)
    with pytest.raises(DiskFull, match="of disk left"), room_on_disk(tmp_path):
        pytest.fail("the servers were started")


def test_other_errors_than_a_full_disk_pass_unchanged(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), room_on_disk(tmp_path):
        (tmp_path / "missing").read_text()


def test_a_server_that_ended_on_a_full_disk_is_distinguished_from_other_failures() -> None:
    for words in ("java.io.IOException: No space left on device", "HINT:  Check free disk space."):
        full = startup_error("kafka", words)
        assert isinstance(full, DiskFull)
        assert "Free disk space" in full.remedy
    other = startup_error("kafka", "java.lang.IllegalArgumentException: unknown setting")
    assert isinstance(other, ServerDied)
    assert "unknown setting" in str(other)
