"""DuckDB store for processes other than the writer. Reads the catalog itself, sends writes to the writer."""

from __future__ import annotations

from pathlib import Path

from sinks.batch import Batch, Progress
from sinks.duckdb.catalog import generations_in, read_catalog, size_bytes
from sinks.duckdb.remote.messages import Operation, Request
from sinks.duckdb.remote.server import call_writer
from sinks.epoch import Epoch
from sinks.generation import GenerationMetadata
from sinks.rejection import NO_REJECTIONS, Rejections


class RemoteDuckdbStore:
    """All generations in a directory whose files another process has open."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def generations(self) -> dict[int, GenerationMetadata]:
        return generations_in(self._directory)

    def live(self) -> int | None:
        return read_catalog(self._directory).live

    def sink(self, generation: int) -> RemoteDuckdbSink:
        return RemoteDuckdbSink(self._directory, generation)

    def create(self, generation: int, record: GenerationMetadata) -> None:
        call_writer(self._directory, Request(Operation.CREATE, generation, record))

    def mark_complete(self, generation: int, filled_per_s: float = 0.0) -> None:
        call_writer(
            self._directory, Request(Operation.COMPLETE, generation, GenerationMetadata(filled_per_s=filled_per_s))
        )

    def mark_rejected(self, generation: int) -> None:
        call_writer(self._directory, Request(Operation.REJECT, generation))

    def record_epoch(self, generation: int, epoch: Epoch) -> None:
        call_writer(self._directory, Request(Operation.NOTE, generation, GenerationMetadata(epochs=(epoch,))))

    def drop(self, generation: int) -> None:
        call_writer(self._directory, Request(Operation.DROP, generation))

    def drop_all(self) -> None:
        call_writer(self._directory, Request(Operation.CLEAR))

    def size_bytes(self, generation: int) -> int:
        return size_bytes(self._directory, generation)

    def rejections(self, generation: int) -> Rejections:  # noqa: ARG002
        return NO_REJECTIONS


class RemoteDuckdbSink:
    """Sink of one generation that sends its writes to the writer process."""

    def __init__(self, directory: Path, generation: int) -> None:
        self._directory = directory
        self._generation = generation

    def prepare(self) -> None:
        call_writer(self._directory, Request(Operation.PREPARE, self._generation))

    def progress(self) -> Progress:
        return call_writer(self._directory, Request(Operation.PROGRESS, self._generation))

    def write(self, batch: Batch) -> None:
        call_writer(self._directory, Request(Operation.WRITE, self._generation, batch=batch))

    def cutover(self) -> None:
        call_writer(self._directory, Request(Operation.CUTOVER, self._generation))
