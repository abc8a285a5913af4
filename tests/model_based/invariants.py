"""Invariants of a read model that must hold at every moment, whatever the faults."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sinks.batch import TopicPartition
from sinks.ordering.range_tombstone import RangeTombstone
from sinks.ordering.register import EMPTY_REGISTER, Change, Register
from tests.model_based.connector import Log, Record
from tests.model_based.database import Image, Row
from tests.model_based.projection import Name, order_of
from tests.model_based.readmodel import register_of
from tests.model_based.sink_model import Target


class Watch:
    """A check of a read model after every step.

    For every name the check keeps the earliest source version that the model may be showing. Every check must find that
    version or a later one. So no version goes back, and the model deletes nothing that the source did not delete.

    Args:
        versions: the successive versions of every row of the source.
    """

    def __init__(self, target: Target, log: Log, versions: Mapping[Row, list[Image | None]]) -> None:
        self._target = target
        self._log = log
        self._versions = versions
        self._reached: dict[Name, int] = {}
        self._offsets: dict[TopicPartition, int] = {}

    def look(self, unsure: Collection[Row]) -> None:
        """Check everything except the rows for which the log is currently incomplete."""
        registers = self._target.registers()
        for name, register in registers.items():
            if name.row not in unsure:
                self._reach(name, image_of(self._target.rule.shown(register)))
        self._compare_progress(registers, unsure)

    def _reach(self, name: Name, image: Image | None) -> None:
        reached = self._reached.get(name, 0)
        versions = [of_part(name, version) for version in self._versions[name.row]]
        assert image in versions[reached:], f"{name} went back to {image}, from {versions[reached]}"
        self._reached[name] = versions.index(image, reached)

    def _compare_progress(self, registers: Mapping[Name, Register], unsure: Collection[Row]) -> None:
        """Check that the model contains everything below its progress: merging it again changes nothing."""
        progress = self._target.progress()
        for topic_partition, entries in self._log.topic_partitions.items():
            reached, self._offsets[topic_partition] = (
                self._offsets.get(topic_partition, 0),
                progress.next_offset(topic_partition),
            )
            for offset, unit in entries:
                if reached <= offset < progress.next_offset(topic_partition) and not (
                    isinstance(unit, Record) and unit.row in unsure
                ):
                    assert self._holds(unit, registers), (
                        f"{topic_partition} is at {progress.next_offset(topic_partition)}, without {unit}"
                    )

    def _holds(self, unit: Record | RangeTombstone, registers: Mapping[Name, Register]) -> bool:
        if isinstance(unit, RangeTombstone):
            return self._target.fences().merge([unit]) == self._target.fences()
        return all(
            self._target.rule.join(known, register_of(told)) == known
            for told in self._target.projection.changes([unit])
            for known in [registers.get(told.name, EMPTY_REGISTER)]
        )


def of_part(name: Name, version: Image | None) -> Image | None:
    """Return a version of a row, as the document part of that name."""
    return version if version is not None and name.order in (None, order_of(name.row, version)) else None


def image_of(change: Change | None) -> Image | None:
    """Return the image of a change."""
    image = change.image if change is not None else None
    assert image is None or isinstance(image, Image)
    return image
