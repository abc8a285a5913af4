"""Target of an export: a folder, or a prefix on S3."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

S3 = "s3://"


class TargetUnavailable(Exception):
    """The target cannot be read or written."""

    remedy = (
        "Choose a folder that this user can write to. For S3, create the bucket, and set in the environment "
        "AWS_ENDPOINT_URL to the server, unless it is AWS, AWS_REGION, and AWS_PROFILE or AWS_ACCESS_KEY_ID and "
        "AWS_SECRET_ACCESS_KEY to those of a user who can write to it."
    )


class ConcurrentExport(Exception):
    """Another process exports the same table to the same target."""

    remedy = "Nothing is lost: repeat the command when the other export has finished."


@dataclass(frozen=True)
class ManifestVersion:
    """Manifest as stored, and the tag that identifies this version of it."""

    content: bytes
    tag: str


class ExportTarget(Protocol):
    """Storage of the files of one table. Names are relative to it, with slashes."""

    @property
    def staging(self) -> Path:
        """Local folder for unfinished files; initially empty and exclusive to this process."""

    def manifest(self) -> ManifestVersion | None:
        """Return the manifest; None if nothing was exported yet."""

    def publish(self, file: Path, name: str) -> None:
        """Publish a finished file of `staging` atomically."""

    def replace_manifest(self, content: bytes, before: ManifestVersion | None) -> None:
        """Replace a manifest atomically.

        Raises:
            ConcurrentExport: the stored manifest is no longer `before`.
        """

    def prune_files(self, names: Collection[str]) -> int:
        """Remove Parquet files not in `names` that no running export can list later; return their number."""
