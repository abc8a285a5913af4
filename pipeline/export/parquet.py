"""Writer of Parquet files in one folder per day, named as in Hive: `day=2026-01-02/….parquet`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.dataset as ds

from pipeline.export.manifest import ExportedFile
from pipeline.export.target import ExportTarget

OPEN_FILES = 64
ROWS_PER_GROUP = 100_000
ROWS_PER_FILE = 5_000_000

Tell = Callable[[int], None]
"""Callback with the number of rows that were read since the last call."""


def write_partitions(
    rows: pa.RecordBatchReader, day: str, place: ExportTarget, *, is_kept: bool, tell: Tell
) -> list[ExportedFile]:
    """Write rows to files, partitioned by the day in column `day`, which the files themselves do not contain.

    A file's name is a digest of its content, so a file is never replaced by different content. A day whose rows are not
    consecutive may get several files. Memory use does not depend on the number of rows.
    """
    schema = pa.schema([_in_utc(field) for field in rows.schema])
    with TemporaryDirectory(dir=place.staging) as folder:
        ds.write_dataset(
            pa.RecordBatchReader.from_batches(schema, _told(rows, schema, tell)),
            folder,
            format="parquet",
            file_options=ds.ParquetFileFormat().make_write_options(compression="zstd"),
            # Do not name unfinished files .parquet, so that readers do not find them.
            basename_template="{i}.part",
            partitioning=ds.partitioning(pa.schema([schema.field(day)]), flavor="hive"),
            max_open_files=OPEN_FILES,
            max_rows_per_group=ROWS_PER_GROUP,
            max_rows_per_file=ROWS_PER_FILE,
        )
        return [_published(path, place, is_kept) for path in sorted(Path(folder).glob("*/*.part"))]


def _in_utc(field: pa.Field) -> pa.Field:
    """Convert a timestamp field to UTC: DuckDB returns the machine's time zone for the same times."""
    is_time = pa.types.is_timestamp(field.type) and field.type.tz is not None
    return field.with_type(pa.timestamp(field.type.unit, "UTC")) if is_time else field


def _told(rows: pa.RecordBatchReader, schema: pa.Schema, tell: Tell) -> Iterator[pa.RecordBatch]:
    for batch in rows:
        tell(batch.num_rows)
        yield batch.cast(schema)


def _published(path: Path, place: ExportTarget, is_kept: bool) -> ExportedFile:
    with path.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    rows = ds.dataset(path, format="parquet").count_rows()
    size = path.stat().st_size
    name = f"{path.parent.name}/{digest[:32]}.parquet"
    place.publish(path, name)
    return ExportedFile(name, rows, size, is_kept)
