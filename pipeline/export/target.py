"""Where an export lies: a folder, or a prefix on S3."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

S3 = "s3://"


class TargetUnavailable(Exception):
    """The place cannot be read or written."""

    remedy = (
        "Make it a folder in which this user may write. For S3, create the bucket, and set in the environment "
        "AWS_ENDPOINT_URL to the server, unless it is AWS, AWS_REGION, and AWS_PROFILE or AWS_ACCESS_KEY_ID and "
        "AWS_SECRET_ACCESS_KEY to those of a user who may write there."
    )


class ConcurrentExport(Exception):
    """Another process exports the same table to the same place."""

    remedy = "Nothing is lost: run it again when the other has ended."


@dataclass(frozen=True)
class ManifestVersion:
    """A manifest as it lies there, and what tells this writing of it from any other."""

    content: bytes
    tag: str


class ExportTarget(Protocol):
    """Where the files of one table lie; names are relative to it, with slashes."""

    @property
    def staging(self) -> Path:
        """A local folder for files that are not finished; it is empty, and nobody else's."""

    def manifest(self) -> ManifestVersion | None:
        """The manifest; None where nothing was exported yet."""

    def publish(self, file: Path, name: str) -> None:
        """Put a finished file of `staging` in place, whole."""

    def replace_manifest(self, content: bytes, before: ManifestVersion | None) -> None:
        """Put a manifest in place of another, whole.

        Raises:
            ConcurrentExport: it is not that one any more.
        """

    def prune_files(self, names: Collection[str]) -> int:
        """Remove the Parquet files that are not among those, and that nobody can be about to list; says how many."""
