"""Tests of the data folders of root's servers: owned by the servers' user, and linked from the closed home."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

import pytest

from stack import server_folders
from stack.paths import StackPaths
from stack.server_folders import ServersFromEarlier, link_folders
from stack.server_user import ServerUser


@dataclass(frozen=True)
class Reaching(ServerUser):
    """An account of this user that can access only some folders."""

    closed: tuple[Path, ...] = ()

    def can_read(self, path: Path) -> bool:
        return path not in self.closed


def account(*closed: Path) -> Reaching:
    return Reaching(os.getuid(), os.getgid(), closed=closed)


def test_data_lies_beside_a_home_that_only_its_owner_enters(tmp_path: Path) -> None:
    home = tmp_path / ".readmodels"
    StackPaths(home).prepare()
    link_folders(home, account(), is_running=False)
    assert StackPaths(home).data == tmp_path / ".readmodels.servers" / "data"
    assert [stat.S_IMODE(path.stat().st_mode) for path in (home, StackPaths(home).data)] == [0o700, 0o700]


def test_data_lies_in_the_system_folder_if_the_servers_cannot_reach_the_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_folders, "SYSTEM_FOLDER", tmp_path / "system")
    home = tmp_path / "closed" / ".readmodels"
    StackPaths(home).prepare()
    link_folders(home, account(home.parent), is_running=False)
    assert StackPaths(home).data.parent.parent == tmp_path / "system"


def test_data_of_an_earlier_version_is_moved_once(tmp_path: Path) -> None:
    home = tmp_path / ".readmodels"
    StackPaths(home).prepare()
    (home / "data" / "redis").mkdir(parents=True)
    (home / "data" / "redis" / "appendonly.aof").write_text("rows")
    for _ in range(2):
        link_folders(home, account(), is_running=False)
    assert (tmp_path / ".readmodels.servers/data/redis/appendonly.aof").read_text() == "rows"
    assert (home / "data" / "redis" / "appendonly.aof").read_text() == "rows"


def test_data_is_never_moved_under_a_running_server(tmp_path: Path) -> None:
    home = tmp_path / ".readmodels"
    StackPaths(home).prepare()
    (home / "data").mkdir()
    with pytest.raises(ServersFromEarlier):
        link_folders(home, account(), is_running=True)
    assert (home / "data").is_dir()
    assert not (home / "data").is_symlink()
