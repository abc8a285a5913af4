"""Export target in a folder. One process at a time writes to it, and files are replaced atomically."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeline.export.manifest import NAME
from pipeline.export.target import ConcurrentExport, ExportTarget, ManifestVersion, TargetUnavailable

STAGING = ".staging"
LOCK = ".lock"


@dataclass(frozen=True)
class FolderTarget:
    """Files of one table in a folder whose lock this process has."""

    path: Path

    @property
    def staging(self) -> Path:
        return self.path / STAGING

    def manifest(self) -> ManifestVersion | None:
        try:
            return ManifestVersion((self.path / NAME).read_bytes(), "")
        except FileNotFoundError:
            return None

    def publish(self, file: Path, name: str) -> None:
        target = self.path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        _synced(file)
        file.replace(target)
        _synced(target.parent)

    def replace_manifest(self, content: bytes, before: ManifestVersion | None) -> None:  # noqa: ARG002 - the lock says so
        pending = self.staging / NAME
        pending.write_bytes(content)
        # Sync the day folders too: after a power failure, a manifest must not list files that are lost.
        _synced(self.path)
        self.publish(pending, NAME)

    def prune_files(self, names: Collection[str]) -> int:
        others = [path for path in self.path.glob("*/*.parquet") if f"{path.parent.name}/{path.name}" not in names]
        for path in others:
            path.unlink()
        return len(others)


@contextmanager
def open_folder_target(path: Path) -> Iterator[ExportTarget]:
    """Lock a folder, and create it if it is missing."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        with (path / LOCK).open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise ConcurrentExport(f"another process exports into {path}") from error
            place = FolderTarget(path)
            # Remove the staging files of a killed run.
            shutil.rmtree(place.staging, ignore_errors=True)
            place.staging.mkdir()
            yield place
            shutil.rmtree(place.staging)
    except OSError as error:
        raise TargetUnavailable(f"{path}: {error.strerror or error}") from error


def _synced(path: Path) -> None:
    """Sync a file or folder to disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
