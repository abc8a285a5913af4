"""The DuckDB model seen from a process that does not hold its files: it looks itself, and has the writer act."""

from __future__ import annotations

from pathlib import Path

from sinks.batch import Batch, Progress
from sinks.duckdb.catalog import generations_in, read_ledger, size_bytes
from sinks.duckdb.remote.messages import Request, Verb
from sinks.duckdb.remote.server import ask
from sinks.epoch import Epoch
from sinks.generation import Record
from sinks.rejection import NO_REJECTIONS, Rejections


class DuckdbElsewhere:
    """All generations, in a directory whose files another process holds."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def generations(self) -> dict[int, Record]:
        return generations_in(self._directory)

    def live(self) -> int | None:
        return read_ledger(self._directory).live

    def sink(self, generation: int) -> SinkElsewhere:
        return SinkElsewhere(self._directory, generation)

    def create(self, generation: int, record: Record) -> None:
        ask(self._directory, Request(Verb.CREATE, generation, record))

    def complete(self, generation: int, filled_per_s: float = 0.0) -> None:
        ask(self._directory, Request(Verb.COMPLETE, generation, Record(filled_per_s=filled_per_s)))

    def reject(self, generation: int) -> None:
        ask(self._directory, Request(Verb.REJECT, generation))

    def note(self, generation: int, epoch: Epoch) -> None:
        ask(self._directory, Request(Verb.NOTE, generation, Record(epochs=(epoch,))))

    def drop(self, generation: int) -> None:
        ask(self._directory, Request(Verb.DROP, generation))

    def clear(self) -> None:
        ask(self._directory, Request(Verb.CLEAR))

    def size_bytes(self, generation: int) -> int:
        return size_bytes(self._directory, generation)

    def rejections(self, generation: int) -> Rejections:  # noqa: ARG002
        return NO_REJECTIONS


class SinkElsewhere:
    """One generation, written by the process that holds it."""

    def __init__(self, directory: Path, generation: int) -> None:
        self._directory = directory
        self._generation = generation

    def prepare(self) -> None:
        ask(self._directory, Request(Verb.PREPARE, self._generation))

    def progress(self) -> Progress:
        return ask(self._directory, Request(Verb.PROGRESS, self._generation))

    def write(self, batch: Batch) -> None:
        ask(self._directory, Request(Verb.WRITE, self._generation, batch=batch))

    def cutover(self) -> None:
        ask(self._directory, Request(Verb.CUTOVER, self._generation))
