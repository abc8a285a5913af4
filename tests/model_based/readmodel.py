"""A read model in memory that follows an ordering rule; a test may replace a piece of the rule by a wrong one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from sinks.ordering.range_tombstone import RangeTombstone, RangeTombstones
from sinks.ordering.register import EMPTY_REGISTER, Change, Register, merge_registers
from tests.model_based.database import Image
from tests.model_based.delivery import Arrivals, Delivery
from tests.model_based.projection import Name, Projection, Sided, Visible

Joining = Callable[..., Register]
Kept = TypeVar("Kept")


def shown(register: Register) -> Change | None:
    """Return the version that readers see."""
    return register.visible


@dataclass(frozen=True)
class Rule:
    """The ordering rule in pieces.

    Args:
        join: merges several registers into one.
        fold: merges the changes that one batch has for a name, in order of arrival.
        shown: the version that readers see.
        range_tombstones: the range tombstones of a batch, as they are merged.
    """

    join: Joining = merge_registers
    fold: Joining = join
    shown: Callable[[Register], Change | None] = shown
    range_tombstones: Callable[[Iterable[RangeTombstone]], Iterable[RangeTombstone]] = tuple


@dataclass
class ReadModel:
    """Registers and range tombstones, written in batches, and merged with those of another worker."""

    rule: Rule
    registers: dict[Name, Register] = field(default_factory=dict)
    range_tombstones: RangeTombstones = field(default_factory=RangeTombstones)

    def write(self, batch: Arrivals, projection: Projection) -> None:
        """Fold a batch, and merge the result."""
        self.merge(self.fold(batch, projection), self.rule.range_tombstones(batch.range_tombstones))

    def fold(self, batch: Arrivals, projection: Projection) -> dict[Name, Register]:
        """Return the folded register of every name in a batch."""
        told: dict[Name, list[Register]] = defaultdict(list)
        for change in projection.changes(batch.records):
            told[change.name].append(register_of(change))
        return {name: self.rule.fold(*registers) for name, registers in told.items()}

    def merge(self, registers: Mapping[Name, Register], range_tombstones: Iterable[RangeTombstone]) -> None:
        """Merge registers and range tombstones; new range tombstones apply to all registers, earlier ones included."""
        before = self.range_tombstones
        self.range_tombstones = before.merge(range_tombstones)
        for name, register in registers.items():
            self.registers[name] = self.rule.join(self.registers.get(name, EMPTY_REGISTER), register)
        for name in registers if self.range_tombstones == before else self.registers:
            self.registers[name] = self.rule.join(self.registers[name], self._fence(name))

    def visible(self) -> Visible:
        """Return what readers see: rows, or the parts of documents whose root exists."""
        return visible(self.registers, self.rule)

    def _fence(self, name: Name) -> Register:
        known = self.registers[name]
        change = known.streamed or known.snapshot
        return self.range_tombstones.for_row(name.row.table, change.partition) if change else EMPTY_REGISTER


def visible(registers: Mapping[Name, Register], rule: Rule) -> Visible:
    """Return what readers see of registers: rows, or the parts of documents whose root exists."""
    seen = {name: rule.shown(register) for name, register in registers.items()}
    images = {name: change.image for name, change in seen.items() if change is not None}
    return {
        name: image for name, image in images.items() if isinstance(image, Image) and images.get(name.root) is not None
    }


def read_model(delivery: Delivery, projection: Projection, rule: Rule) -> ReadModel:
    """Return the merged result of all workers' writes."""
    merged = ReadModel(rule)
    for batches in delivery:
        worker = ReadModel(rule)
        for batch in batches:
            worker.write(batch, projection)
        merged.merge(worker.registers, worker.range_tombstones)
    return merged


def register_of(told: Sided) -> Register:
    """Return a register that holds only this change."""
    return Register(snapshot=told.change) if told.is_snapshot else Register(streamed=told.change)


def versions(registers: Mapping[Kept, Register]) -> dict[Kept, tuple[object, ...]]:
    """Return the stored versions of every name, visible or not.

    Offsets are left out, because a sweep has the offset of the row's partition.
    """
    return {
        name: tuple(change and (*change.order[:4], change.image) for change in register)
        for name, register in registers.items()
    }
