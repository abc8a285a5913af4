"""The store side of a simulation: what differs from one read model to the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from pipeline.ingest.projection import Projection
from sinks.batch import Batch
from sinks.ordering.range_tombstone import RangeTombstone
from sinks.shape import Shape
from sinks.sink import Store
from tests.model_based import projection as histories
from tests.model_based.connector import Record
from tests.simulation.fault_state import Weather
from tests.simulation.invariant_checker import Held
from tests.simulation.scheduler import Scheduler

GENERATION = 1

Hazard = Callable[[], None]
"""Something bad that befalls a store."""


class Surroundings(Protocol):
    """What a side is given."""

    scheduler: Scheduler
    weather: Weather

    def look(self) -> None:
        """The store has changed."""

    def kill_all(self) -> None:
        """Kill every worker process."""

    def went_back(self) -> None:
        """The store holds an earlier state again."""


class Side(Protocol):
    """One kind of store, simulated.

    Args:
        processes: how many workers share the partitions.
        form: what `tests.model_based` expects of it.
    """

    processes: int
    form: histories.Projection
    projection: Projection
    shapes: Sequence[Shape]

    def installed(self) -> AbstractContextManager[None]:
        """Let the client library, or the store's own library, reach the simulation."""

    def opened(self) -> AbstractContextManager[Store]:
        """The store as a process opens it."""

    def held(self) -> Held:
        """What the store holds now, looked at from outside of the simulation."""

    def begun(self) -> None:
        """The generation is there; no fault takes that back."""

    def hazards(self) -> Mapping[str, Hazard]:
        """What can befall the store, by name."""

    def killed(self) -> None:
        """The process that had it open was killed."""

    def heal(self) -> None:
        """Whatever had befallen it is over."""

    def sweep(self, range_tombstone: RangeTombstone) -> RangeTombstone:
        """A table's fence, as this form of read model calls its scope."""

    def repair(self, record: Record) -> Batch:
        """What a repair writes."""
