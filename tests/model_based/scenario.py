"""A history and one delivery of its log to the read models, drawn by the property tests."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.model_based.delivery import Arrivals, Delivery, deliver
from tests.model_based.history import History, history
from tests.model_based.seeded_choices import Choices
from tests.model_based.source import STEP_BYTES

PROGRAM_BYTES = 56 * STEP_BYTES
FAULT_BYTES = 96
DELIVERY_BYTES = 224


class Scenario:
    """A history, and two deliveries of its log; the second is a replay. Its `repr` prints the events."""

    def __init__(self, told: History, delivery: Delivery, replay: Delivery) -> None:
        self.history = told
        self.delivery = delivery
        self.replay = replay

    def __repr__(self) -> str:
        return "\n".join(["", repr(self.history), f"delivered {self._numbers(self.delivery)}"])

    def _numbers(self, delivery: Delivery) -> str:
        workers = [[self._batch(batch) for batch in batches if batch] for batches in delivery]
        return ", then by another worker ".join(" ".join(batches) or "nothing" for batches in workers)

    def _batch(self, batch: Arrivals) -> str:
        records, range_tombstones = (
            map(self.history.number, batch.records),
            map(self.history.number, batch.range_tombstones),
        )
        return str([*records, *range_tombstones])


@st.composite
def scenarios(draw: st.DrawFn) -> Scenario:
    """Draw any history, with any faults, delivered in any way."""
    program, faults, delivery = (
        draw(st.binary(min_size=size, max_size=size)) for size in (PROGRAM_BYTES, FAULT_BYTES, DELIVERY_BYTES)
    )
    told = history(program, Choices(faults))
    return Scenario(told, deliver(told, Choices(delivery)), deliver(told, Choices(delivery[::-1])))
