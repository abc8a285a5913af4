"""Manifest of an export: its files, and the part of the source's history that they contain.

The manifest is replaced atomically after all files that it lists are in place. This makes the export exactly once:
files that it does not list are not part of the export.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sinks.batch import TopicPartition
from sinks.shape import RowShape

NAME = "manifest.json"
FORMAT = 1


class ExportDiffers(ValueError):
    """The existing export has another source and cannot be continued."""

    remedy = (
        "If the model only lags, repeat the command once it has caught up. Otherwise export to an empty target. The "
        "existing files and their manifest are not changed."
    )


@dataclass(frozen=True)
class ExportedFile:
    """Parquet file of an export.

    Args:
        name: its path relative to the manifest's folder.
        is_kept: whether later runs keep it; otherwise the next run replaces it.
    """

    name: str
    rows: int
    bytes: int
    is_kept: bool


@dataclass(frozen=True, kw_only=True)
class ExportSource:
    """Source of an export. It stays the same as long as files are added.

    Args:
        table: the requested name, such as `orders` or `orders_history`.
        holds: `rows` for the current rows, or `versions` for all of their versions.
        columns: name and PostgreSQL type of each.
        time_zone: the zone in which days begin at midnight.
    """

    table: str
    holds: str
    key: tuple[str, ...]
    columns: Mapping[str, str]
    time_zone: str

    @classmethod
    def of(cls, table: str, shape: RowShape, time_zone: str) -> ExportSource:
        """Return the source of a table or its history, given the shape of its rows."""
        holds = "rows" if table == shape.table else "versions"
        return cls(table=table, holds=holds, key=shape.key, columns=dict(shape.columns), time_zone=time_zone)


@dataclass(frozen=True, kw_only=True)
class ExportedRange:
    """Range of a generation that was exported.

    Args:
        mark: the `lsn` of the watermark up to which PostgreSQL's history is included, and its time; None if there is no
            watermark.
        newest: commit time of its newest change, as ISO 8601; None if there is no change.
        offsets: the next offset of every partition of the table's topic.
        version_count: number of versions of the table.
        fence_count: number of range tombstones of all tables.
        fences: the table's range tombstones (truncates, ends of snapshots). They end versions but are not versions.
    """

    generation: int
    mark: Mapping[str, str] | None
    newest: str | None
    offsets: Mapping[TopicPartition, int]
    version_count: int
    fence_count: int
    fences: Sequence[Mapping[str, Any]] = ()

    def covers_same(self, other: ExportedRange) -> bool:
        """Return whether both ranges contain the same rows and versions."""
        state = (self.generation, self.offsets, self.version_count, self.fence_count)
        return state == (other.generation, other.offsets, other.version_count, other.fence_count)


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """Manifest of one table's export.

    Args:
        replaced: files of the previous manifest, which a reader of that manifest may still need.
    """

    origin: ExportSource
    extract: ExportedRange
    files: tuple[ExportedFile, ...] = ()
    replaced: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        """Number of rows in all files."""
        return sum(file.rows for file in self.files)

    @property
    def kept(self) -> tuple[ExportedFile, ...]:
        """Files that later runs keep."""
        return tuple(file for file in self.files if file.is_kept)

    @property
    def names(self) -> set[str]:
        """Names of the files that a reader may need."""
        return {file.name for file in self.files} | set(self.replaced)

    def require(self, origin: ExportSource, extract: ExportedRange) -> None:
        """Check that the new range continues where the export ends.

        Raises:
            ExportDiffers: it does not.
        """
        before, now = asdict(self.origin), asdict(origin)
        for fact in before:
            if before[fact] != now[fact]:
                raise ExportDiffers(
                    f"{self.origin.table} was exported with {fact} {before[fact]}; now it is {now[fact]}"
                )
        for (topic, partition), offset in self.extract.offsets.items():
            if (read := extract.offsets.get((topic, partition), 0)) < offset:
                raise ExportDiffers(f"{topic}/{partition} was exported up to offset {offset}, and is read up to {read}")

    def followed_by(self, extract: ExportedRange, files: Sequence[ExportedFile]) -> Manifest:
        """Return the manifest after another run that added or replaced files."""
        names = {file.name for file in files}
        replaced = tuple(file.name for file in self.files if not file.is_kept and file.name not in names)
        return Manifest(origin=self.origin, extract=extract, files=(*self.kept, *files), replaced=replaced)

    def to_json(self) -> bytes:
        """Return a JSON object for `from_json`; docs/guides/export.md describes its fields."""
        offsets = [
            {"topic": topic, "partition": partition, "next_offset": offset}
            for (topic, partition), offset in self.extract.offsets.items()
        ]
        facts = {"format": FORMAT, **asdict(self.origin), **asdict(self.extract), "offsets": offsets, "rows": self.rows}
        lists = {"files": [asdict(file) for file in self.files], "replaced": self.replaced}
        return json.dumps({**facts, **lists}, indent=1).encode()

    @classmethod
    def from_json(cls, text: bytes) -> Manifest:
        """Parse the result of `to_json`.

        Raises:
            ExportDiffers: the manifest has another format version.
        """
        facts = json.loads(text)
        if facts.get("format") != FORMAT:
            raise ExportDiffers(f"its manifest has format {facts.get('format')}, and not {FORMAT}")
        facts["key"] = tuple(facts["key"])
        facts["offsets"] = {(one["topic"], one["partition"]): one["next_offset"] for one in facts["offsets"]}
        return cls(
            origin=ExportSource(**{name: facts[name] for name in ExportSource.__dataclass_fields__}),
            extract=ExportedRange(**{name: facts[name] for name in ExportedRange.__dataclass_fields__}),
            files=tuple(ExportedFile(**file) for file in facts["files"]),
            replaced=tuple(facts["replaced"]),
        )


EMPTY_RANGE = ExportedRange(generation=0, mark=None, newest=None, offsets={}, version_count=0, fence_count=0)
"""Exported range before the first run."""
