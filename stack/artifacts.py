"""Maven files of the local servers: named in a lock, fetched once, and checked by SHA-256."""

from __future__ import annotations

import hashlib
import os
import tarfile
import tempfile
import threading
import tomllib
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path, PurePosixPath

import stamina
from jgo.maven import MavenContext, PythonResolver
from requests import RequestException

from stack.errors import ChecksumMismatch, DownloadFailed
from stack.progress import Report

LOCK_NAME = "artifacts.lock"
_PARALLEL_DOWNLOADS = 4
_ATTEMPTS = 4
_ANSWER_WITHIN_S = 60
_NETWORK_ERRORS = (RequestException, RuntimeError)
"""Exceptions of the resolver for a broken connection, and for an answer other than 200."""


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """One file of one program.

    Attributes:
        program: the program that it belongs to, such as `kafka`.
        coordinate: group, artifact, packaging, classifier (if there is one) and version, joined by colons.
        file: the name of its file.
        sha256: the SHA-256 sum of the file, in hexadecimal.
        size_bytes: the length of the file.
    """

    program: str
    coordinate: str
    file: str
    sha256: str
    size_bytes: int

    @property
    def path(self) -> PurePosixPath:
        """The path of the file below the root of a Maven repository."""
        group, name, *_, version = self.coordinate.split(":")
        return PurePosixPath(*group.split("."), name, version, self.file)


def locked(lock: Traversable | None = None) -> list[Artifact]:
    """Read a lock; by default the one that ships with this package."""
    table = tomllib.loads((lock or files("stack").joinpath(LOCK_NAME)).read_text())
    return [Artifact(**entry) for entry in table["artifact"]]


def default_cache() -> Path:
    """Return the cache folder that all checkouts of one user share.

    Root uses the system's folder, because the servers run as another user, who could not read a folder in root's home.
    """
    own = Path("/var/cache") if os.geteuid() == 0 else Path.home() / ".cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or own) / "readmodels"


def fetch(artifacts: Sequence[Artifact], cache: Path, report: Report) -> dict[Artifact, Path]:
    """Return the checked local file of every artifact, and download those that the cache lacks.

    Raises:
        ChecksumMismatch: a file is not the one that the lock names.
        DownloadFailed: a file could not be fetched.
    """
    repository = cache / "maven"
    places = {artifact: repository / artifact.path for artifact in artifacts}
    missing = {artifact: place for artifact, place in places.items() if not place.exists()}
    for artifact in places.keys() - missing.keys():
        check(artifact, places[artifact])
    if missing:
        report.downloading(len(missing), sum(artifact.size_bytes for artifact in missing))
        try:
            _download_all(missing, cache, report)
        finally:
            report.downloads_ended()
    return places


def check(artifact: Artifact, file: Path) -> None:
    """Compare a file with the lock.

    Raises:
        ChecksumMismatch: they differ.
    """
    with file.open("rb") as opened:
        found = hashlib.file_digest(opened, "sha256").hexdigest()
    if found != artifact.sha256:
        raise ChecksumMismatch(
            f"{file} has SHA-256 {found}, but the lock says {artifact.sha256} for {artifact.coordinate}.", file
        )


def _download_all(missing: Mapping[Artifact, Path], cache: Path, report: Report) -> None:
    cache.mkdir(parents=True, exist_ok=True)
    interrupted = threading.Event()
    # Downloads go to a separate folder, so that an interrupted download never counts as a file.
    with (
        tempfile.TemporaryDirectory(dir=cache, prefix="incoming-") as incoming,
        ThreadPoolExecutor(_PARALLEL_DOWNLOADS) as pool,
    ):

        def bring(artifact: Artifact) -> None:
            arrived = _download(artifact, Path(incoming), report, interrupted)
            check(artifact, arrived)
            missing[artifact].parent.mkdir(parents=True, exist_ok=True)
            arrived.replace(missing[artifact])

        try:
            for _ in pool.map(bring, missing):
                report.arrived()
        except BaseException:
            interrupted.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _download(artifact: Artifact, incoming: Path, report: Report, interrupted: threading.Event) -> Path:
    @contextmanager
    def followed(_file: str, _total_bytes: int) -> Iterator[Callable[[int], None]]:
        def count(size_bytes: int) -> None:
            if interrupted.is_set():
                raise DownloadFailed(f"The download of {artifact.coordinate} was interrupted.")
            report.downloaded(size_bytes)

        yield count

    @stamina.retry(on=_NETWORK_ERRORS, attempts=_ATTEMPTS, timeout=None)
    def attempt() -> Path:
        into = Path(tempfile.mkdtemp(dir=incoming))
        context = MavenContext(resolver=resolver, repo_cache=into, timeout=_ANSWER_WITHIN_S)
        component = context.project(group, name).at_version(version)
        return Path(component.artifact("".join(classifier), packaging).resolve())

    group, name, packaging, *classifier, version = artifact.coordinate.split(":")
    resolver = PythonResolver(progress_callback=followed)
    try:
        return attempt()
    except _NETWORK_ERRORS as error:
        raise DownloadFailed(f"{artifact.coordinate} could not be fetched: {error}") from error


def unpack(archive: Path, into: Path) -> None:
    """Extract a .zip or .tar.gz with its permission bits."""
    if archive.suffix == ".gz":
        with tarfile.open(archive) as opened:
            # Python has extraction filters only since 3.11.4. The archive's checksum was verified before.
            opened.extraction_filter = getattr(tarfile, "data_filter", lambda member, _path: member)
            opened.extractall(into)  # noqa: S202
        return
    with zipfile.ZipFile(archive) as opened:
        for member in opened.infolist():
            place = Path(opened.extract(member, into))
            place.chmod((member.external_attr >> 16) & 0o777 or 0o644)
