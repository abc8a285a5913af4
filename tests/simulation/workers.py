"""Processes of a read model: each runs the production worker, dies, and is restarted."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Protocol
from unittest.mock import patch

from connectors.kafka import KafkaSettings
from pipeline.ingest.accumulator import BatchAccumulator
from pipeline.ingest.retry import RecoveryAction, Retrier, StopRequested, action_for
from pipeline.ingest.source import KafkaSource
from pipeline.ingest.worker import Worker
from pipeline.worker_settings import AccumulatorSettings, BatchSettings
from sinks.batch import Batch
from sinks.sink import Store
from tests.simulation.consumer import Consumer
from tests.simulation.fault_state import Weather
from tests.simulation.kafka import Group
from tests.simulation.log import CONTRACT, decoder
from tests.simulation.scheduler import Process, Scheduler
from tests.simulation.store_model import GENERATION, Side
from tests.simulation.virtual_stdlib import Event, Thread

STARTED_AGAIN_WITHIN_S = 3.0
ERRANDS_EVERY_S = 0.5


@dataclass
class Errand:
    """A write of an operator's command, due from a given moment on."""

    batch: Batch
    due_s: float
    is_done: bool = False


class Employer(Protocol):
    """The simulation, as workers use it."""

    scheduler: Scheduler
    weather: Weather
    lots: Random
    side: Side
    group: Group
    errands: list[Errand]
    restored: int

    def fail(self, error: BaseException) -> None:
        """Record the error that stopped a worker."""


@dataclass
class Place:
    """A process that is kept running, as the supervisor does."""

    employer: Employer
    number: int
    process: Process = field(init=False)
    starts: int = 0

    def __post_init__(self) -> None:
        self._start()

    def kill(self) -> None:
        """Kill the process at any point."""
        self.employer.scheduler.kill(self.process)
        self.employer.side.killed()

    def stall(self, for_s: float) -> None:
        """Stall the process for this long."""
        self.process.stalled_until_s = self.employer.scheduler.now_s + for_s

    def look_after(self) -> None:
        """Restart the process if it is dead."""
        if not self.process.is_alive:
            self._start()

    def _start(self) -> None:
        self.starts += 1
        self.process = Process(f"worker {self.number}, started for the {self.starts}. time")
        self.employer.scheduler.start(self.process, self._work)

    def _work(self) -> None:
        process, until = self.process, Event(self.employer.scheduler)
        try:
            with self.employer.side.opened() as store:
                if self.number == 0:
                    Thread(self.employer.scheduler, partial(self._run_errands, store, until)).start()
                self._worker(store, until).run(until)
        except Exception as error:  # noqa: BLE001 - the policy says what follows
            if action_for(error) is RecoveryAction.STOP:
                self.employer.fail(error)
            process.is_alive = False
            self.employer.side.killed()

    def _worker(self, store: Store, stop: Event) -> Worker:
        lots, side, scheduler = self.employer.lots, self.employer.side, self.employer.scheduler
        settings = BatchSettings(
            max_records=lots.choice((1, 2, 5, 100)), drain_timeout_s=lots.choice((0.5, 20.0)), session_timeout_s=10.0
        )
        weather = self.employer.weather
        consumer = partial(Consumer, self.employer.group, scheduler, lots, lambda: not weather.is_stormy)
        with patch("pipeline.ingest.source.Consumer", consumer):
            source = KafkaSource(
                KafkaSettings(bootstrap_servers="kafka:9092"), "group", list(CONTRACT.topics), settings
            )
        max_bytes, max_wait_s, few = lots.choice((0, 2_000)), lots.choice((0.5, None)), lots.choice((1, 1_000))
        gathering = AccumulatorSettings(
            max_bytes=max_bytes,
            max_wait_s=max_wait_s,
            max_wait_far_behind_s=5.0,
            few_records=few,
            many_records=max(few, 20),
        )
        accumulator = BatchAccumulator(gathering, side.shapes)
        sink = Retrier(stop)("find the generation", lambda: store.sink(GENERATION))
        return Worker(source, decoder(), side.projection, sink, CONTRACT.topics, accumulator)

    def _run_errands(self, store: Store, stop: Event) -> None:
        scheduler, patience = self.employer.scheduler, Retrier(stop)
        while not stop.wait(ERRANDS_EVERY_S):
            for errand in self.employer.errands:
                if not errand.is_done and scheduler.now_s >= errand.due_s:
                    self._run_errand(errand, store, patience)

    def _run_errand(self, errand: Errand, store: Store, patience: Retrier) -> None:
        try:
            sink = patience("find the generation", lambda: store.sink(GENERATION))
            restored = self.employer.restored
            patience("run an errand", lambda: sink.write(errand.batch))
            # Writes from before the store went back must be repeated.
            errand.is_done = restored == self.employer.restored
        except Exception as error:  # noqa: BLE001 - the policy says what follows
            if action_for(error) is RecoveryAction.STOP and not isinstance(error, StopRequested):
                self.employer.fail(error)
