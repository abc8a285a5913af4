"""What one process asks of the one that holds DuckDB's files, and what it is told, as files.

A request is a JSON object behind its length, followed by the changes of its batch as streams of Arrow's own format, a
table each. It is written under another name and renamed, so that whoever finds it finds it whole.

Source: https://arrow.apache.org/docs/format/Columnar.html#ipc-streaming-format
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pyarrow as pa

from sinks import errors
from sinks.batch import Batch, Mutations, OffsetRange, Progress, offsets_from_json, offsets_to_json
from sinks.errors import OffsetGap, SinkError, StoreUnavailable
from sinks.generation import NO_METADATA, GenerationMetadata
from sinks.ordering.range_tombstone import RangeTombstone

FILE_MODE = 0o600
MAX_GENERATION = 999_999
_LENGTH_BYTES = 8
_ALIGNED_BYTES = 64
"""Where Arrow's buffers begin: what is mapped from elsewhere it reads slowly, and complains."""


class Operation(StrEnum):
    """What can be asked: the methods of `sinks.sink.Sink`, and those of `sinks.sink.Store` that change something."""

    PREPARE = "prepare"
    PROGRESS = "progress"
    WRITE = "write"
    CUTOVER = "cutover"
    CREATE = "create"
    COMPLETE = "complete"
    REJECT = "reject"
    NOTE = "note"
    DROP = "drop"
    CLEAR = "clear"


class MalformedRequest(SinkError):
    """A file among the requests that no process of this version wrote; only the file's writer is told."""


Natural = Annotated[int, msgspec.Meta(ge=0)]
Place = tuple[str, Natural, Natural]
"""A topic, a partition and an offset."""


class _Head(msgspec.Struct, forbid_unknown_fields=True):
    """The JSON object of a request: nothing in it is used before its type is checked."""

    verb: Operation
    generation: Annotated[int, msgspec.Meta(ge=0, le=MAX_GENERATION)]
    record: str
    fences: list[dict[str, Any]]
    begin: list[Place]
    end: list[Place]
    targets: list[str]


@dataclass(frozen=True)
class Request:
    """One question; `batch` belongs to a write, `record` to a creation, for its speed to a completion, and for
    its one epoch to a note."""

    verb: Operation
    generation: int = 0
    record: GenerationMetadata = NO_METADATA
    batch: Batch = field(default_factory=Batch)

    def write(self, path: Path) -> None:
        """Put the request in place in one step."""
        head = {
            "verb": self.verb,
            "generation": self.generation,
            "record": self.record.to_json(),
            "fences": [range_tombstone.to_json() for range_tombstone in self.batch.range_tombstones],
            "begin": offsets_to_json(self.batch.span.begin),
            "end": offsets_to_json(self.batch.span.end),
            "targets": [mutations.target for mutations in self.batch.mutations],
        }
        pending = path.with_suffix(".new")
        pending.touch(mode=FILE_MODE)
        with pa.OSFile(str(pending), "wb") as file:
            text = json.dumps(head).encode()
            padding = -(_LENGTH_BYTES + len(text)) % _ALIGNED_BYTES
            file.write((len(text) + padding).to_bytes(_LENGTH_BYTES, "big") + text + b" " * padding)
            for mutations in self.batch.mutations:
                with pa.ipc.new_stream(file, mutations.changes.schema) as stream:
                    stream.write_table(mutations.changes)
        pending.replace(path)

    @classmethod
    def read(cls, path: Path) -> Request:
        """Read what `write` wrote; the tables stand in the file, which is mapped into memory.

        Raises:
            MalformedRequest: it is not what `write` writes.
        """
        file = pa.memory_map(str(path))
        head_bytes = int.from_bytes(file.read(_LENGTH_BYTES), "big")
        if head_bytes > file.size():
            raise MalformedRequest(f"the request has {file.size()} bytes, and its head should have {head_bytes}")
        try:
            head = msgspec.json.decode(file.read(head_bytes), type=_Head)
        except msgspec.MsgspecError as error:
            raise MalformedRequest(f"the head of the request is malformed: {error}") from None
        mutations = tuple(Mutations(target, pa.ipc.open_stream(file).read_all()) for target in head.targets)
        span = OffsetRange(offsets_from_json(head.begin), offsets_from_json(head.end))
        batch = Batch(mutations, tuple(map(RangeTombstone.from_json, head.fences)), span)
        return cls(head.verb, head.generation, GenerationMetadata.from_json(head.record), batch)


@dataclass(frozen=True)
class Reply:
    """What came of a request: progress where it was asked for, or the error that it ended with."""

    progress: Progress = field(default_factory=Progress)
    error: SinkError | None = None

    def write(self, path: Path) -> None:
        """Put the reply in place in one step."""
        plain: dict[str, Any] = {"progress": offsets_to_json(self.progress.offsets)}
        if self.error is not None:
            lost = self.error.stored if isinstance(self.error, OffsetGap) else {}
            plain |= {
                "error": _known_name(self.error),
                "words": str(self.error),
                "remedy": self.error.remedy,
                "stored": offsets_to_json(lost),
            }
        pending = path.with_suffix(".new")
        pending.touch(mode=FILE_MODE)
        pending.write_text(json.dumps(plain))
        pending.replace(path)

    @classmethod
    def read(cls, path: Path) -> Reply:
        """Read what `write` wrote."""
        plain = json.loads(path.read_text())
        progress = Progress(offsets_from_json(plain["progress"]))
        if "error" not in plain:
            return cls(progress)
        kind = _ERRORS[plain["error"]]
        error = OffsetGap(offsets_from_json(plain["stored"])) if kind is OffsetGap else kind(plain["words"])
        error.remedy = plain["remedy"]
        return cls(progress, error)


_ERRORS: Mapping[str, type[SinkError]] = {
    name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, SinkError)
}


def _known_name(error: SinkError) -> str:
    """The name of the nearest kind of error that every process knows."""
    return next((kind.__name__ for kind in type(error).__mro__ if kind.__name__ in _ERRORS), StoreUnavailable.__name__)
