"""One simulated history: a growing log, workers that write it to a store, faults, and the final checks."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random
from typing import Any, NoReturn

import structlog

from sinks.batch import Batch
from sinks.generation import GenerationMetadata
from tests.simulation.fault_state import Weather
from tests.simulation.invariant_checker import Witness, Wrong
from tests.simulation.kafka import Broker, Group
from tests.simulation.log import TOPIC_PARTITIONS, Story, story
from tests.simulation.scheduler import Process, Scheduler
from tests.simulation.store_model import GENERATION, Side
from tests.simulation.virtual_stdlib import on_virtual_time
from tests.simulation.workers import Errand, Place

CAUGHT_UP_WITHIN_S = 600.0
LOOK_EVERY_S = 0.5
AT_MOST_STEPS = 300_000

MakeSide = Callable[["World"], Side]


@dataclass(frozen=True)
class Outcome:
    """Result of a simulated history.

    Args:
        simulated_s: the virtual duration.
        struck: the faults, and the count of each.
        looks: the number of checks of the store.
    """

    simulated_s: float
    struck: dict[str, int]
    looks: int


class World:
    """All components of one simulation.

    Args:
        seed: determines everything.
        make_side: creates the store side.
        trace: called with each line of the simulation's log.
    """

    def __init__(self, seed: int, make_side: MakeSide, trace: Callable[[str], None] | None = None) -> None:
        self.lots = Random(seed)
        self.scheduler = Scheduler(Random(self.lots.random()))
        self.weather = Weather(Random(self.lots.random()), severity=self.lots.choice((0.0, 0.5, 1.0, 1.0, 2.0)))
        self.story: Story = story(Random(self.lots.random()))
        self.side = make_side(self)
        self.group = Group(Broker(TOPIC_PARTITIONS), self.scheduler)
        self.witness = Witness(self.story, self.side.form)
        self.storm_ends_s = self.lots.choice((5.0, 20.0, 60.0))
        self.errands = [*self._sweeps(), *self._repairs()]
        self.restored = 0
        self.failure: BaseException | None = None
        self._trace = trace
        self._places: list[Place] = []
        self._is_settled = False
        self._seed = seed

    def run(self) -> Outcome:
        """Run the simulation.

        Raises:
            Wrong: an invariant was violated.
            Stuck: the simulation does not end.
            Exception: the error that stopped a worker.
        """
        # The retry pauses use the global random generator.
        random.seed(self._seed)
        with on_virtual_time(self.scheduler), self.side.installed(), self._traced():
            try:
                self._begin()
                self.scheduler.run(lambda: self._is_settled or self.failure is not None, AT_MOST_STEPS)
            finally:
                self.scheduler.close()
        if self.failure is not None:
            raise self.failure
        return Outcome(self.scheduler.now_s, dict(self.weather.struck), self.witness.looks)

    def look(self) -> None:
        """Check the store, which may have changed."""
        if self._places and self.failure is None:
            try:
                self.witness.saw(self.side.held())
            except Wrong as wrong:
                self.fail(wrong)

    def kill_all(self) -> None:
        """Kill every worker process."""
        for place in self._places:
            place.kill()

    def went_back(self) -> None:
        """Record that the store went back to an earlier state; operators' commands given before must be repeated."""
        self.witness.forget()
        self.restored += 1
        for errand in self.errands:
            errand.is_done = False

    def fail(self, error: BaseException) -> None:
        """End the simulation with its first failure."""
        self.failure = self.failure or error
        self.say("failed", reason=f"{type(error).__name__}: {error}")

    def say(self, what: str, **details: object) -> None:
        """Write a line to the trace."""
        if self._trace is not None:
            told = " ".join(f"{name}={value}" for name, value in details.items())
            self._trace(f"{self.scheduler.now_s:9.3f}  {what}  {told}")

    def _begin(self) -> None:
        with self.side.opened() as store:
            store.create(GENERATION, GenerationMetadata())
            store.sink(GENERATION).cutover()
        self.side.begun()
        self.weather.is_stormy = True
        outside = Process("outside")
        self._places = [Place(self, number) for number in range(self.side.processes)]
        for task in (self._grow, self._storm, self._supervise, self._observe):
            self.scheduler.start(outside, task)

    def _grow(self) -> None:
        """Append the transactions at random intervals, on average over the whole period of faults."""
        pause_s = 2 * self.storm_ends_s / max(1, len(self.story.transactions))
        for transaction in self.story.transactions:
            self.scheduler.pause(self.lots.choice((0.0, pause_s)))
            self.group.broker.commit(transaction.entries, transaction.ends.items())

    def _storm(self) -> None:
        hazards = {**self.side.hazards(), "worker is killed": self._kill, "worker is stalled": self._stall}
        while self.scheduler.now_s < self.storm_ends_s:
            self.scheduler.pause(self.lots.choice((0.5, 5.0, 20.0)))
            if self.weather.severity:
                name = self.weather.lots.choice(list(hazards))
                self.weather.struck[name] += 1
                self.say(name)
                hazards[name]()
        self.weather.is_stormy = False
        self.side.heal()
        self.say("the storm is over")

    def _kill(self) -> None:
        self.weather.lots.choice(self._places).kill()

    def _stall(self) -> None:
        self.weather.lots.choice(self._places).stall(self.weather.lots.choice((1.0, 15.0, 40.0)))

    def _supervise(self) -> NoReturn:
        while True:
            self.scheduler.pause(3.0)
            self.group.look()
            for place in self._places:
                place.look_after()

    def _observe(self) -> None:
        ends_s = self.storm_ends_s + CAUGHT_UP_WITHIN_S
        while not self._has_caught_up():
            if self.scheduler.now_s > ends_s:
                self.fail(Wrong(f"not caught up {CAUGHT_UP_WITHIN_S:g} s after the storm: {self._lag()}"))
                return
            self.scheduler.wait(LOOK_EVERY_S)
        try:
            self.witness.require_equal(self.side.held())
        except Wrong as wrong:
            self.fail(wrong)
        self._is_settled = True

    def _has_caught_up(self) -> bool:
        self.look()
        is_over = not self.weather.is_stormy and self.group.broker.ends == self.story.ends
        return is_over and not self._lag() and all(errand.is_done for errand in self.errands)

    def _lag(self) -> dict[Any, tuple[int, int]]:
        progress = self.side.held().progress
        lag = {
            topic_partition: (progress.get(topic_partition, 0), end) for topic_partition, end in self.story.ends.items()
        }
        return {topic_partition: (reached, end) for topic_partition, (reached, end) in lag.items() if reached < end}

    def _sweeps(self) -> Iterator[Errand]:
        for range_tombstone in self.story.sweeps:
            yield Errand(Batch(range_tombstones=(self.side.sweep(range_tombstone),)), self._moment())

    def _repairs(self) -> Iterator[Errand]:
        for record in self.story.repairs:
            yield Errand(self.side.repair(record), self._moment())

    def _moment(self) -> float:
        return self.lots.uniform(0, self.storm_ends_s)

    @contextmanager
    def _traced(self) -> Iterator[None]:
        """Add the production code's log lines to the trace, with the virtual time."""
        before = structlog.get_config()

        def take(_: object, __: str, event: Any) -> NoReturn:
            details = dict(event)
            process = self.scheduler.name_of_process()
            self.say(f"{process}: {details.pop('event')}", **details)
            raise structlog.DropEvent

        structlog.configure(processors=[take])
        try:
            yield
        finally:
            structlog.configure(**before)
