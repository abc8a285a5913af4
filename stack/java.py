"""Search for a Java runtime that can run every server of the stack."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import cjdk

from stack.errors import JavaMissing
from stack.progress import Report

MINIMUM_VERSION = 21
_DISTRIBUTION_FOLDERS = (Path("/usr/lib/jvm"), Path("/usr/lib64/jvm"), Path("/Library/Java/JavaVirtualMachines"))
_NEEDED_MODULES = {"jdk.jdi", "jdk.incubator.vector"}
"""Modules that Elasticsearch needs in addition to `java.base`. A trimmed runtime lacks them."""


def find_java(
    report: Report,
    folders: Sequence[Path] = _DISTRIBUTION_FOLDERS,
    *,
    downloads: Path | None = None,
    can_read: Callable[[Path], bool] = lambda _: True,
) -> Path:
    """Return the home of the first full JDK that is new enough, or download one.

    Checks `JAVA_HOME`, then the `java` on the PATH, then the system's JDK folders.

    Args:
        report: receives the start of a download.
        folders: the system's JDK folders.
        downloads: the folder for a downloaded JDK; by default the user's own cache.
        can_read: returns whether the servers may read a folder.

    Raises:
        JavaMissing: there is none, and none could be downloaded.
    """
    refused = []
    for home in _candidates(folders):
        reason = _refusal(home) if can_read(home) else "the servers' user may not read it"
        if reason is None:
            return home
        refused.append(f"{home}: {reason}")
    report.preparing(f"downloading a JDK {MINIMUM_VERSION} or newer")
    return _downloaded(downloads, refused)


def _candidates(folders: Sequence[Path]) -> Iterator[Path]:
    if named := os.environ.get("JAVA_HOME"):
        yield Path(named)
    if found := shutil.which("java"):
        yield Path(found).resolve().parent.parent
    for folder in folders:
        for home in sorted(folder.glob("*"), reverse=True):
            yield home / "Contents/Home" if (home / "Contents/Home").exists() else home


def _refusal(home: Path) -> str | None:
    """Return the reason for which a JDK is unsuitable, or None if it is suitable."""
    try:
        listed = subprocess.run(
            [home / "bin/java", "--list-modules"], capture_output=True, text=True, timeout=30, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return "its bin/java does not run"
    modules = dict(line.partition("@")[::2] for line in listed.split())
    version = re.match(r"\d+", modules.get("java.base", ""))
    if version is None or int(version[0]) < MINIMUM_VERSION:
        return f"version {modules.get('java.base', 'unknown')}, needed is {MINIMUM_VERSION} or newer"
    if lacking := _NEEDED_MODULES - modules.keys():
        return f"lacks {', '.join(sorted(lacking))}"
    return None


def _downloaded(downloads: Path | None, refused: list[str]) -> Path:
    try:
        home = cjdk.java_home(vendor="adoptium", version=f"{MINIMUM_VERSION}+", cache_dir=downloads, progress=False)
    except cjdk.CjdkError as error:
        seen = "; ".join(refused) or "no JDK at all"
        raise JavaMissing(f"No full JDK {MINIMUM_VERSION} or newer ({seen}), and no download: {error}") from error
    return Path(home)
