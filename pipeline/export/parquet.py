"""Rows as Parquet files, in a folder for each day, as Hive named them: `day=2026-01-02/….parquet`."""

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
"""Is told that so many more rows were read."""


def write_partitions(
    rows: pa.RecordBatchReader, day: str, place: ExportTarget, *, is_kept: bool, tell: Tell
) -> list[ExportedFile]:
    """Write rows into files by the day in one of their columns, which the files themselves do not hold.

    A file's name is a digest of what is in it, so that no file is ever replaced by another. A day whose rows do not
    follow each other may get several files; what is held in memory does not depend on how many rows there are.
    """
    schema = pa.schema([_in_utc(field) for field in rows.schema])
    with TemporaryDirectory(dir=place.staging) as folder:
        ds.write_dataset(
            pa.RecordBatchReader.from_batches(schema, _told(rows, schema, tell)),
            folder,
            format="parquet",
            file_options=ds.ParquetFileFormat().make_write_options(compression="zstd"),
            # Not .parquet yet: nobody who looks for that should find them.
            basename_template="{i}.part",
            partitioning=ds.partitioning(pa.schema([schema.field(day)]), flavor="hive"),
            max_open_files=OPEN_FILES,
            max_rows_per_group=ROWS_PER_GROUP,
            max_rows_per_file=ROWS_PER_FILE,
        )
        return [_published(path, place, is_kept) for path in sorted(Path(folder).glob("*/*.part"))]


def _in_utc(field: pa.Field) -> pa.Field:
    """DuckDB hands times over in whatever zone this machine is in; they are the same times."""
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
