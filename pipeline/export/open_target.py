"""The place of an export, by what was typed. S3's client is imported where it is wanted: it takes its time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.export.folder import open_folder_target
from pipeline.export.target import S3, ExportTarget


class S3NotInstalled(Exception):
    """The package that speaks with S3 is not here."""

    remedy = "Install it with the extra `export`: `pip install 'cdc-read-models[export]'`."


@contextmanager
def open_target(to: str, name: str) -> Iterator[ExportTarget]:
    """The place of one table or history.

    Args:
        to: a folder, or `s3://bucket/prefix`.

    Raises:
        TargetUnavailable: it cannot be read or written.
        ConcurrentExport: somebody exports into it now.
        S3NotInstalled: it is on S3, of which this installation knows nothing.
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
