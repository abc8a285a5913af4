"""Store side of a simulation: the differences between the read models."""

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
"""A fault of a store."""


class Surroundings(Protocol):
    """The simulation, as a store side uses it."""

    scheduler: Scheduler
    weather: Weather

    def look(self) -> None:
        """Check the store after a change."""

    def kill_all(self) -> None:
        """Kill every worker process."""

    def went_back(self) -> None:
        """Record that the store is at an earlier state again."""


class Side(Protocol):
    """One kind of store, simulated.

    Args:
        processes: the number of workers that share the partitions.
        form: the form of read model in `tests.model_based`.
    """

    processes: int
    form: histories.Projection
    projection: Projection
    shapes: Sequence[Shape]

    def installed(self) -> AbstractContextManager[None]:
        """Connect the client library, or the store's own library, to the simulation."""

    def opened(self) -> AbstractContextManager[Store]:
        """Return the store as a process opens it."""

    def held(self) -> Held:
        """Return the store's current contents, read from outside of the simulation."""

    def begun(self) -> None:
        """Make the new generation durable; no fault removes it afterwards."""

    def hazards(self) -> Mapping[str, Hazard]:
        """Return the faults of the store, by name."""

    def killed(self) -> None:
        """Handle the death of the process that had the store open."""

    def heal(self) -> None:
        """End all faults of the store."""

    def sweep(self, range_tombstone: RangeTombstone) -> RangeTombstone:
        """Return a table's range tombstone with the scope that this form of read model uses."""

    def repair(self, record: Record) -> Batch:
        """Return the batch of a repair."""
