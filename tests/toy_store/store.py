"""Store of documents in one file, which every operation locks, reads and replaces."""

from __future__ import annotations

import fcntl
import pickle
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sinks.batch import Batch, Progress
from sinks.epoch import Epoch
from sinks.errors import GenerationMissing
from sinks.generation import GenerationMetadata
from sinks.memory import MemoryStore
from sinks.ordering.document import render
from sinks.ordering.register import Register
from sinks.rejection import NO_REJECTIONS, Rejections
from sinks.shape import DocumentShape


@dataclass(frozen=True)
class ToyStore:
    """Generations of documents in one file."""

    file: Path
    shapes: Sequence[DocumentShape]

    def generations(self) -> dict[int, GenerationMetadata]:
        return self._read().generations()

    def live(self) -> int | None:
        return self._read().live()

    def sink(self, generation: int) -> ToySink:
        return ToySink(self, generation)

    def create(self, generation: int, record: GenerationMetadata) -> None:
        with self.changed() as content:
            content.create(generation, record)

    def mark_complete(self, generation: int, filled_per_s: float = 0.0) -> None:
        with self.changed() as content:
            content.mark_complete(generation, filled_per_s)

    def mark_rejected(self, generation: int) -> None:
        with self.changed() as content:
            content.mark_rejected(generation)

    def record_epoch(self, generation: int, epoch: Epoch) -> None:
        with self.changed() as content:
            content.record_epoch(generation, epoch)

    def drop(self, generation: int) -> None:
        with self.changed() as content:
            content.drop(generation)

    def drop_all(self) -> None:
        with self.changed() as content:
            content.drop_all()

    def size_bytes(self, generation: int) -> int:
        return self._read().size_bytes(generation)

    def rejections(self, generation: int) -> Rejections:  # noqa: ARG002
        return NO_REJECTIONS

    def progress(self, generation: int) -> Progress:
        return self._of(generation).sink(generation).progress()

    def documents(self, shape: DocumentShape, generation: int) -> dict[str, str]:
        """Return the visible documents of a generation by key, as JSON."""
        documents: dict[str, dict[str, Register]] = {}
        for (target, key, part), register in self._of(generation).held[generation].registers.items():
            if target == shape.target:
                documents.setdefault(str(key), {})[str(part)] = register
        rendered = {key: render(parts, shape) for key, parts in documents.items()}
        return {key: text for key, text in rendered.items() if text is not None}

    @contextmanager
    def changed(self) -> Iterator[MemoryStore]:
        """Lock the file, and replace it with the content that the block leaves, unless the block raises."""
        with self.file.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            content = self._read()
            yield content
            pending = self.file.with_suffix(".new")
            pending.write_bytes(pickle.dumps(content))
            pending.replace(self.file)

    def _of(self, generation: int) -> MemoryStore:
        content = self._read()
        if generation not in content.held:
            raise GenerationMissing(f"toy has no generation {generation}")
        return content

    def _read(self) -> MemoryStore:
        if not self.file.exists():
            return MemoryStore(self.shapes)
        content: MemoryStore = pickle.loads(self.file.read_bytes())
        return content


@dataclass(frozen=True)
class ToySink:
    """Sink of one generation."""

    store: ToyStore
    generation: int

    def prepare(self) -> None:
        with self.store.changed() as content:
            content.sink(self.generation).prepare()

    def progress(self) -> Progress:
        return self.store.progress(self.generation)

    def write(self, batch: Batch) -> None:
        with self.store.changed() as content:
            if self.generation not in content.held:
                raise GenerationMissing(f"toy has no generation {self.generation}")
            content.sink(self.generation).write(batch)

    def cutover(self) -> None:
        with self.store.changed() as content:
            content.sink(self.generation).cutover()
