"""In-memory store, the shortest implementation of the sink interface: a dictionary of registers per generation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sinks.batch import HISTORY_COLUMNS, SPECIAL_COLUMNS, Batch, Mutations, Progress
from sinks.epoch import Epoch
from sinks.errors import GenerationInUse
from sinks.generation import NO_METADATA, GenerationMetadata, utc_now
from sinks.ordering.columns import ORDER_COLUMNS
from sinks.ordering.fold import iter_registers
from sinks.ordering.range_tombstone import RangeTombstones
from sinks.ordering.register import EMPTY_REGISTER, Register, merge_registers
from sinks.rejection import NO_REJECTIONS, Rejections
from sinks.shape import DocumentShape, Shape, collection_of, tombstone_scope

Name = tuple[object, ...]
"""A target, and the values of a register key."""


@dataclass
class MemoryGeneration:
    """Content of one generation."""

    registers: dict[Name, Register] = field(default_factory=dict)
    range_tombstones: RangeTombstones = field(default_factory=RangeTombstones)
    progress: Progress = field(default_factory=Progress)
    record: GenerationMetadata = NO_METADATA


class MemoryStore:
    """Generations in memory."""

    def __init__(self, shapes: Iterable[Shape]) -> None:
        self.shapes = {shape.target: shape for shape in shapes}
        self.held: dict[int, MemoryGeneration] = {}
        self.shown: int | None = None

    def generations(self) -> dict[int, GenerationMetadata]:
        return {number: self.held[number].record for number in sorted(self.held)}

    def live(self) -> int | None:
        return self.shown

    def sink(self, generation: int) -> MemorySink:
        return MemorySink(self, generation)

    def create(self, generation: int, record: GenerationMetadata) -> None:
        self.held.setdefault(generation, MemoryGeneration(record=record))

    def mark_complete(self, generation: int, filled_per_s: float = 0.0) -> None:
        self.held[generation].record = self.held[generation].record.as_complete(filled_per_s)

    def mark_rejected(self, generation: int) -> None:
        self.held[generation].record = self.held[generation].record.as_rejected()

    def record_epoch(self, generation: int, epoch: Epoch) -> None:
        self.held[generation].record = self.held[generation].record.with_epoch(epoch)

    def drop(self, generation: int) -> None:
        if generation == self.shown:
            raise GenerationInUse(f"generation {generation} is live")
        self.held.pop(generation, None)

    def drop_all(self) -> None:
        self.held.clear()
        self.shown = None

    def size_bytes(self, generation: int) -> int:
        return len(repr(self.held[generation].registers))

    def rejections(self, generation: int) -> Rejections:  # noqa: ARG002
        return NO_REJECTIONS


class MemorySink:
    """Sink over a dictionary of registers."""

    def __init__(self, store: MemoryStore, generation: int) -> None:
        self._store = store
        self._generation = generation

    def prepare(self) -> None:
        self._store.held.setdefault(self._generation, MemoryGeneration())

    @property
    def _shapes(self) -> Mapping[str, Shape]:
        made_of = self._store.held[self._generation].record.shapes
        return {shape.target: shape for shape in made_of} or self._store.shapes

    def progress(self) -> Progress:
        return self._store.held[self._generation].progress

    def write(self, batch: Batch) -> None:
        generation = self._store.held[self._generation]
        generation.progress.require_contiguous(batch.span)
        generation.range_tombstones = generation.range_tombstones.merge(batch.range_tombstones)
        if batch.range_tombstones:
            for name, register in generation.registers.items():
                generation.registers[name] = merge_registers(
                    register, self._fence(generation.range_tombstones, name, register)
                )
        for mutations in batch.mutations:
            shape = self._shapes[mutations.target]
            for identity, register in iter_registers(mutations.changes, shape.register_key, image_columns(mutations)):
                name = (mutations.target, *identity)
                # A deletion stays as a register: without it, a replayed image would revive the row.
                known = generation.registers.get(name, EMPTY_REGISTER)
                generation.registers[name] = merge_registers(
                    known, register, self._fence(generation.range_tombstones, name, register)
                )
        generation.progress = generation.progress.advance(batch.span.end)

    def cutover(self) -> None:
        held = self._store.held[self._generation]
        held.record = held.record.as_shown(utc_now())
        self._store.shown = self._generation

    def _fence(self, range_tombstones: RangeTombstones, name: Name, register: Register) -> Register:
        shape = self._shapes[str(name[0])]
        place = (
            tombstone_scope(shape.name, collection_of(str(name[2])))
            if isinstance(shape, DocumentShape)
            else shape.table
        )
        change = register.streamed or register.snapshot
        return range_tombstones.for_row(place, change.partition) if change else EMPTY_REGISTER


def image_columns(mutations: Mutations) -> list[str]:
    """Return the columns of mutations that make up an image."""
    if "image" in mutations.changes.column_names:
        return ["image"]
    without = {*ORDER_COLUMNS.names, *HISTORY_COLUMNS.names, SPECIAL_COLUMNS}
    return [name for name in mutations.changes.column_names if name not in without]
