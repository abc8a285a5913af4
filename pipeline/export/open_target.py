"""Target of an export, chosen by its address. S3's client is imported on demand because the import is slow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.export.folder import open_folder_target
from pipeline.export.target import S3, ExportTarget


class S3NotInstalled(Exception):
    """The S3 client package is not installed."""

    remedy = "Install it with the extra `export`: `pip install 'cdc-read-models[export]'`."


@contextmanager
def open_target(to: str, name: str) -> Iterator[ExportTarget]:
    """Open the target of one table or history.

    Args:
        to: a folder, or `s3://bucket/prefix`.

    Raises:
        TargetUnavailable: the target cannot be read or written.
        ConcurrentExport: another process exports to it now.
        S3NotInstalled: the target is on S3, and the S3 client is not installed.
    """
    if not to.startswith(S3):
        with open_folder_target(Path(to) / name) as place:
            yield place
        return
    try:
        from pipeline.export.s3 import open_s3_target
    except ImportError as error:
        raise S3NotInstalled(f"the package {error.name} is not installed") from error
    with open_s3_target(to, name) as place:
        yield place
