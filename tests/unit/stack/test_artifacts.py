"""Tests of the lock of the servers' files, and of a file that does not match it."""

from __future__ import annotations

import os
import re
import tarfile
import zipfile
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import pytest

from stack import update_lock
from stack.artifacts import LOCK_NAME, fetch, locked, unpack
from stack.errors import ChecksumMismatch, DownloadFailed
from stack.progress import NullReport
from tests.unit.stack.small_artifact import BYTES, SMALL


def cached(cache: Path, content: bytes) -> Path:
    file = cache / "maven/org/example/small/1.0/small-1.0-all.jar"
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    return file


def test_every_locked_file_has_a_sum_and_a_size() -> None:
    assert len(locked()) > 100
    for artifact in locked():
        assert re.fullmatch(r"[0-9a-f]{64}", artifact.sha256)
        assert artifact.size_bytes > 0


def test_the_lock_holds_every_version_that_it_was_made_for() -> None:
    coordinates = {artifact.coordinate for artifact in locked()}
    assert set(update_lock.DISTRIBUTIONS.values()) <= coordinates
    for root in (root for roots in update_lock.PROGRAMS.values() for root in roots):
        group, name, version = root.split(":")
        assert f"{group}:{name}:jar:{version}" in coordinates


def test_the_lock_names_no_place_to_download_from() -> None:
    assert "://" not in files("stack").joinpath(LOCK_NAME).read_text()


def test_plugins_bring_no_second_copy_of_what_connect_offers_them() -> None:
    offered = {"kafka-clients", "connect-api", "connect-json", "slf4j-api", "lz4-java", "snappy-java", "zstd-jni"}
    plugins = [artifact for artifact in locked() if artifact.program in {"debezium", "avro-converter"}]
    assert plugins
    assert offered.isdisjoint(artifact.coordinate.split(":")[1] for artifact in plugins)


def test_a_cached_file_that_is_the_locked_one_is_used_as_it_is(tmp_path: Path) -> None:
    file = cached(tmp_path, BYTES)
    assert fetch([SMALL], tmp_path, NullReport()) == {SMALL: file}


def test_a_cached_file_that_was_changed_is_refused(tmp_path: Path) -> None:
    file = cached(tmp_path, BYTES.upper())
    with pytest.raises(ChecksumMismatch, match=re.escape(str(file))) as caught:
        fetch([SMALL], tmp_path, NullReport())
    assert SMALL.sha256 in str(caught.value)
    assert f"Delete {file}" in caught.value.remedy


def test_a_file_that_no_server_offers_is_named_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nothing listens on port 9 of the loopback interface, so every attempt is refused at once.
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with pytest.raises(DownloadFailed, match=SMALL.coordinate):
        fetch([SMALL], tmp_path, NullReport())
    assert list(tmp_path.rglob("*")) == []


def test_unpacking_keeps_what_may_be_executed(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    zipped, tarred = tmp_path / "program.zip", tmp_path / "program.tar.gz"
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.write(program, "bin/program")
    with tarfile.open(tarred, "w:gz") as archive:
        archive.add(program, "bin/program")
    for packed in (zipped, tarred):
        into = tmp_path / packed.suffix
        unpack(packed, into)
        assert os.access(into / "bin/program", os.X_OK)


def test_a_lock_that_was_written_is_read_back_the_same(tmp_path: Path) -> None:
    written = [SMALL, replace(SMALL, coordinate="org.example:other:jar:1.0", file="other-1.0.jar")]
    update_lock.write(written, tmp_path / LOCK_NAME)
    assert locked(tmp_path / LOCK_NAME) == written
