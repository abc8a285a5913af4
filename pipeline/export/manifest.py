"""The manifest of an export: which files it consists of, and how much of the source's history is in them.

It is replaced as a whole once everything that it lists is in place, and so it is what makes an export exactly once:
what it does not list was never exported, whatever lies beside it.
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
    """What is there was exported from something else, and cannot be added to."""

    remedy = (
        "If the model is only behind, try again when it has caught up. Else export into an empty place: what is there "
        "stays as it is, and its manifest still tells what it holds."
    )


@dataclass(frozen=True)
class ExportedFile:
    """One Parquet file.

    Args:
        name: its path, from the manifest's own folder.
        is_kept: whether it stays; else the next run replaces it.
    """

    name: str
    rows: int
    bytes: int
    is_kept: bool


@dataclass(frozen=True, kw_only=True)
class ExportSource:
    """What an export is made of; it stays the same as long as files are added.

    Args:
        table: the name under which it was asked for, as `orders` or `orders_history`.
        holds: `rows` as they are, or all `versions` of them.
        columns: name and PostgreSQL type of each.
        time_zone: where its days begin at midnight.
    """

    table: str
    holds: str
    key: tuple[str, ...]
    columns: Mapping[str, str]
    time_zone: str

    @classmethod
    def of(cls, table: str, shape: RowShape, time_zone: str) -> ExportSource:
        """That of a table or its history, of rows of this shape."""
        holds = "rows" if table == shape.table else "versions"
        return cls(table=table, holds=holds, key=shape.key, columns=dict(shape.columns), time_zone=time_zone)


@dataclass(frozen=True, kw_only=True)
class ExportedRange:
    """What was read of a generation: how far it had got.

    Args:
        mark: the `lsn` up to which PostgreSQL's history is in it, and when that was; None where no mark was set.
        newest: when its newest change was committed, as ISO 8601; None where there was none.
        offsets: the next offset of every partition of the table's topic.
        version_count: how many versions the table had.
        fence_count: how many fences all tables had.
        fences: the table's truncates and ends of snapshots, which end versions and are none.
    """

    generation: int
    mark: Mapping[str, str] | None
    newest: str | None
    offsets: Mapping[TopicPartition, int]
    version_count: int
    fence_count: int
    fences: Sequence[Mapping[str, Any]] = ()

    def covers_same(self, other: ExportedRange) -> bool:
        """Whether the same rows and versions are read of both."""
        state = (self.generation, self.offsets, self.version_count, self.fence_count)
        return state == (other.generation, other.offsets, other.version_count, other.fence_count)


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """An export.

    Args:
        replaced: files of the manifest before this one, which a reader of it may still need.
    """

    origin: ExportSource
    extract: ExportedRange
    files: tuple[ExportedFile, ...] = ()
    replaced: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        """Rows in all files."""
        return sum(file.rows for file in self.files)

    @property
    def kept(self) -> tuple[ExportedFile, ...]:
        """The files that stay."""
        return tuple(file for file in self.files if file.is_kept)

    @property
    def names(self) -> set[str]:
        """The files that a reader may need."""
        return {file.name for file in self.files} | set(self.replaced)

    def require(self, origin: ExportSource, extract: ExportedRange) -> None:
        """Make sure that what was read now goes on where the export ends.

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
        """The manifest after another run, which added or replaced files."""
        names = {file.name for file in files}
        replaced = tuple(file.name for file in self.files if not file.is_kept and file.name not in names)
        return Manifest(origin=self.origin, extract=extract, files=(*self.kept, *files), replaced=replaced)

    def to_json(self) -> bytes:
        """A JSON object that `from_json` reads back; its facts are described in docs/export.md."""
        offsets = [
            {"topic": topic, "partition": partition, "next_offset": offset}
            for (topic, partition), offset in self.extract.offsets.items()
        ]
        facts = {"format": FORMAT, **asdict(self.origin), **asdict(self.extract), "offsets": offsets, "rows": self.rows}
        lists = {"files": [asdict(file) for file in self.files], "replaced": self.replaced}
        return json.dumps({**facts, **lists}, indent=1).encode()

    @classmethod
    def from_json(cls, text: bytes) -> Manifest:
        """Read what `to_json` wrote.

        Raises:
            ExportDiffers: it was written in a form that this program does not know.
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
"""What was read before the first run."""
