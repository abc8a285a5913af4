"""Reader of the toy store for `verify`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import pyarrow as pa

from pipeline.config import Settings
from pipeline.epochs.offset_sink import open_sink
from pipeline.verify.comparison_set import ComparisonSet, documents
from pipeline.verify.readers.reader import page
from sinks.batch import TopicPartition
from sinks.errors import GenerationMissing
from sinks.sink import Sink
from tests.toy_store.read_model import open_store
from tests.toy_store.store import ToyStore


@dataclass(frozen=True)
class ToyReader:
    """Reader of one generation."""

    subjects: tuple[ComparisonSet, ...]
    store: ToyStore
    generation: int | None

    def sink(self) -> Sink:
        return open_sink(self.store, self._number())

    def progress(self) -> Mapping[TopicPartition, int]:
        return self.sink().progress().offsets

    def scan(self, subject: ComparisonSet) -> Iterator[pa.Table]:
        shown = self._documents(subject)
        yield page(list(shown), list(shown.values()))

    def lookup(self, subject: ComparisonSet, keys: Sequence[str]) -> dict[str, str]:
        shown = self._documents(subject)
        return {key: shown[key] for key in keys if key in shown}

    def rejected(self, subject: ComparisonSet, keys: Sequence[str]) -> Mapping[str, str]:  # noqa: ARG002
        return {}

    def _documents(self, subject: ComparisonSet) -> dict[str, str]:
        (shape,) = [shape for shape in self.store.shapes if shape.name == subject.name]
        return self.store.documents(shape, self._number())

    def _number(self) -> int:
        number = self.store.live() if self.generation is None else self.generation
        if number is None:
            raise GenerationMissing("no generation of toy is live")
        return number


@contextmanager
def open_toy_reader(settings: Settings, generation: int | None = None) -> Iterator[ToyReader]:
    """Open the store for reading: the live generation, or `generation` if it is given."""
    yield ToyReader(documents(settings.definitions), open_store(settings), generation)
