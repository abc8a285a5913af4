"""Checks of a store's contents after every possible change, and of the expected final contents."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sinks.batch import TopicPartition
from sinks.ordering.range_tombstone import RangeTombstone, TombstoneKind
from sinks.ordering.register import EMPTY_REGISTER, Register, merge_registers
from tests.model_based.database import Row
from tests.model_based.projection import Name, Projection, Sided
from tests.model_based.readmodel import register_of
from tests.simulation.log import Story


class Wrong(AssertionError):
    """An invariant was violated."""


@dataclass(frozen=True)
class Held:
    """The contents of a store at one moment.

    Args:
        registers: registers by name, without images.
        visible: the values that readers see.
        progress: the next offset of every topic partition.
    """

    registers: Mapping[Name, Register] = field(default_factory=dict)
    visible: Mapping[Name, int] = field(default_factory=dict)
    progress: Mapping[TopicPartition, int] = field(default_factory=dict)


class Witness:
    """A checker that remembers the last visible values and registers, and the records below the stored progress."""

    def __init__(self, story: Story, form: Projection) -> None:
        self._story = story
        self._form = form
        self._changes: dict[TopicPartition, list[tuple[int, Sided]]] = defaultdict(list)
        self._range_tombstones: dict[TopicPartition, list[tuple[int, RangeTombstone]]] = defaultdict(list)
        for transaction in story.transactions:
            for entry in transaction.entries:
                if isinstance(entry.told, RangeTombstone):
                    self._range_tombstones[entry.topic_partition].append((entry.offset, entry.told))
                elif entry.told is not None:
                    told = form.changes([entry.told])
                    self._changes[entry.topic_partition].extend((entry.offset, change) for change in told)
        self._last = Held()
        self._ages: dict[Name, int] = {}
        self.looks = 0

    def saw(self, held: Held) -> None:
        """Compare with the previous contents.

        Raises:
            Wrong: a version went back, a register was lost, the visible values differ from the registers, or progress
                is
                ahead of the contents.
        """
        self.looks += 1
        _require_covered(self._last.registers.items(), held.registers, "a register went back")
        self._require_no_older(held.visible)
        self._require_shown(held)
        self._require_behind(held)
        self._last = held

    def forget(self) -> None:
        """Reset after the store went back to an earlier state, which readers may see.

        From there on, nothing may go back.
        """
        self._last = Held()
        self._ages = {}

    def require_equal(self, held: Held) -> None:
        """Compare with the source, once everything was applied.

        Raises:
            Wrong: the visible values differ from the source.
        """
        self.saw(held)
        expected = {name: image.value for name, image in self._form.of(self._story.rows).items()}
        if dict(held.visible) != expected:
            raise Wrong(f"readers see {_told(held.visible)}, and the source holds {_told(expected)}")

    def _require_no_older(self, visible: Mapping[Name, int]) -> None:
        for name, value in visible.items():
            ages = [age for age in self._story.ages[name.row, value] if age >= self._ages.get(name, 0)]
            if not ages:
                raise Wrong(f"readers see an older version of {_name(name)} again, {value}")
            self._ages[name] = ages[0]

    def _require_shown(self, held: Held) -> None:
        alive = {name for name, register in held.registers.items() if register.is_alive}
        shown = {name for name in alive if name.root in alive}
        if shown != held.visible.keys():
            raise Wrong(f"readers see {_told(held.visible)}, and the registers say {sorted(map(_name, shown))}")

    def _require_behind(self, held: Held) -> None:
        for topic_partition, end in held.progress.items():
            below = [told for offset, told in self._changes[topic_partition] if offset < end]
            of_changes = [(told.name, without_images(register_of(told))) for told in below]
            _require_covered(of_changes, held.registers, f"progress of {topic_partition} at {end} is ahead")
            for offset, range_tombstone in self._range_tombstones[topic_partition]:
                if offset < end and range_tombstone.kind is TombstoneKind.TRUNCATE:
                    _require_truncated(range_tombstone, held.registers)


def _require_covered(known: Iterable[tuple[Name, Register]], held: Mapping[Name, Register], failure: str) -> None:
    for name, register in known:
        now = held.get(name, EMPTY_REGISTER)
        if _orders(merge_registers(now, register)) != _orders(now):
            raise Wrong(f"{failure}: {_name(name)} had {register}, and has {now}")


def _require_truncated(range_tombstone: RangeTombstone, held: Mapping[Name, Register]) -> None:
    for name, register in held.items():
        if name.row.table == range_tombstone.scope:
            change = register.streamed or register.snapshot
            assert change is not None
            truncated = (name, Register(streamed=range_tombstone.to_deletion(change.partition)))
            _require_covered([truncated], held, "progress is ahead of a truncate")


def _orders(register: Register) -> tuple[object, ...]:
    return tuple(change and (change.order, change.deleted) for change in register)


def without_images(register: Register) -> Register:
    """Return the register without images, for comparison."""
    return Register(*(change and change._replace(image=None) for change in register))


def _told(visible: Mapping[Name, int]) -> str:
    return ", ".join(f"{_name(name)} = {value}" for name, value in sorted(visible.items(), key=str)) or "nothing"


def _name(name: Name) -> str:
    row = f"{name.row.table}/{name.row.key}"
    return row if name.order is None else f"{row} of order {name.order}"


PART_OFFSET = 2**63
"""Added to a child's key by the production projection, so that the key sorts as text."""


def name_of(key: str, part: str) -> Name:
    """Return the name that `tests.model_based` gives a document's part."""
    row = Row("items", int(part.partition("/")[2]) - PART_OFFSET) if part else Row("orders", int(key))
    return Name(row, int(key))


def part_of(name: Name) -> str:
    """Return the production projection's name of that part."""
    return f"items/{name.row.key + PART_OFFSET:020d}" if name.row.table == "items" else ""
