"""Tests of the Java runtime for the servers, with real JDKs: this machine's own, and one trimmed from it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from stack.errors import JavaMissing
from stack.java import find_java
from stack.progress import NullReport


@pytest.fixture(scope="module")
def trimmed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a runtime of the newest version that lacks what Elasticsearch needs."""
    home = tmp_path_factory.mktemp("java") / "trimmed"
    jlink = find_java(NullReport()) / "bin/jlink"
    subprocess.run([jlink, "--add-modules", "java.base", "--output", home], check=True)
    return home


@pytest.fixture
def no_java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove Java from the settings and the PATH, and block its download: nothing listens on port 9."""
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CJDK_CACHE_DIR", str(tmp_path / "cjdk"))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)


def test_the_java_that_is_named_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    found = find_java(NullReport())
    monkeypatch.setenv("JAVA_HOME", str(found))
    assert find_java(NullReport(), folders=[]) == found


def test_a_java_that_lacks_modules_is_passed_over(trimmed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(trimmed))
    assert find_java(NullReport()) != trimmed


@pytest.mark.usefixtures("no_java")
def test_without_java_the_message_names_the_searched_places_and_the_package_to_install(
    trimmed: Path, tmp_path: Path
) -> None:
    (tmp_path / "jdks/empty").mkdir(parents=True)
    (tmp_path / "jdks/trimmed").symlink_to(trimmed)
    with pytest.raises(JavaMissing) as caught:
        find_java(NullReport(), folders=[tmp_path / "jdks"])
    assert "trimmed: lacks jdk.incubator.vector, jdk.jdi" in str(caught.value)
    assert "empty: its bin/java does not run" in str(caught.value)
    assert "JDK 21" in caught.value.remedy
