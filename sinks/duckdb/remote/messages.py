"""Requests to the process that writes DuckDB, and its replies, as files.

A request is a length, a JSON object, and the changes of the batch as one Arrow IPC stream per table. It is written
under a temporary name and renamed, so that the writer never sees a part of it.

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
"""Alignment of Arrow's buffers. Arrow reads unaligned mapped buffers slowly, and warns."""


class Operation(StrEnum):
    """Operations of a request: the methods of `sinks.sink.Sink`, and the changing ones of `sinks.sink.Store`."""

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
    """A request file that no process of this version wrote. Only the sender of the file gets this error."""


Natural = Annotated[int, msgspec.Meta(ge=0)]
Place = tuple[str, Natural, Natural]
"""A topic, a partition and an offset."""


class _Head(msgspec.Struct, forbid_unknown_fields=True):
    """JSON object of a request. Types are checked before any value is used."""

    verb: Operation
    generation: Annotated[int, msgspec.Meta(ge=0, le=MAX_GENERATION)]
    record: str
    fences: list[dict[str, Any]]
    begin: list[Place]
    end: list[Place]
    targets: list[str]


@dataclass(frozen=True)
class Request:
    """One request to the writer.

    `batch` is set for a write and `record` for a creation. A completion uses only the speed in `record`, and recording
    an epoch uses only its single epoch.
    """

    verb: Operation
    generation: int = 0
    record: GenerationMetadata = NO_METADATA
    batch: Batch = field(default_factory=Batch)

    def write(self, path: Path) -> None:
        """Write the request file in one step."""
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
        """Read the output of `write`. The tables stay in the file, which is mapped into memory.

        Raises:
            MalformedRequest: the file is not a valid request.
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
    """Result of a request: the progress if it was requested, or the error."""

    progress: Progress = field(default_factory=Progress)
    error: SinkError | None = None

    def write(self, path: Path) -> None:
        """Write the reply file in one step."""
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
        """Read the output of `write`."""
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
    """Return the name of the most specific error class that every process knows."""
    return next((kind.__name__ for kind in type(error).__mro__ if kind.__name__ in _ERRORS), StoreUnavailable.__name__)
