"""State machine of everything that can happen between a source and a read model, interleaved by Hypothesis.

The source, the connector that captures it, and the workers that write the log into the model each take steps; faults
are steps too. `Watch` checks the model after every step. In the end the faults stop, the lag is worked off, and the
model must show what the source holds.
"""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from tests.model_based.connector import Log
from tests.model_based.emission import Connector
from tests.model_based.invariants import Watch
from tests.model_based.readmodel import visible
from tests.model_based.seeded_choices import Choices
from tests.model_based.sink_model import Target
from tests.model_based.source import STEP_BYTES, Source
from tests.model_based.worker import Model, Worker

Draws = st.binary(min_size=6 * STEP_BYTES, max_size=6 * STEP_BYTES).map(Choices)
Programs = st.binary(min_size=6 * STEP_BYTES, max_size=6 * STEP_BYTES)


class Convergence(RuleBasedStateMachine):
    """A source, its connector, a log, and one read model with the workers that write it."""

    def __init__(self, open_target: Callable[[], Target]) -> None:
        super().__init__()
        self.source = Source()
        self.log = Log()
        self.connector = Connector(self.source, self.log)
        self.model = Model(open_target(), self.log)
        self.watch = Watch(self.model.target, self.log, self.source.database.versions)

    @initialize(program=Programs, drawn=Draws)
    def begin(self, program: bytes, drawn: Choices) -> None:
        """Create a database with some history, which is captured or about to be."""
        self.source.take(program)
        for _ in range(drawn.of((0, 1, 2, 3, 3, 3, 3, 3))):
            self.source.capture_on(Choices(b""))
        self.pass_time(drawn)

    @rule(drawn=Draws)
    def write(self, drawn: Choices) -> None:
        self.source.write(drawn)
        self.pass_time(drawn)

    @rule(drawn=Draws)
    def write_and_commit(self, drawn: Choices) -> None:
        for _ in range(3):
            self.source.write(drawn)
        self.source.commit(drawn)
        self.pass_time(drawn)

    @rule(drawn=Draws)
    def rename(self, drawn: Choices) -> None:
        self.source.rename(drawn)
        self.pass_time(drawn)

    @rule(drawn=Draws)
    def truncate(self, drawn: Choices) -> None:
        self.source.truncate(drawn)
        self.pass_time(drawn)

    @rule(drawn=Draws)
    def insert_before_delete(self, drawn: Choices) -> None:
        self.source.insert_before_delete(drawn)
        self.pass_time(drawn)

    @rule(drawn=Draws)
    def commit(self, drawn: Choices) -> None:
        self.source.commit(drawn)
        self.pass_time(drawn)

    @rule(drawn=Draws)
    def roll_back(self, drawn: Choices) -> None:
        self.source.roll_back(drawn)
        self.pass_time(drawn)

    @rule(drawn=Draws)
    def read_incrementally(self, drawn: Choices) -> None:
        self.source.read_incrementally(drawn)
        self.pass_time(drawn)

    @rule(drawn=Draws)
    def look_at_a_row(self, drawn: Choices) -> None:
        self.source.repair(drawn)
        self.pass_time(drawn)

    @rule(drawn=Draws)
    def capture_on(self, drawn: Choices) -> None:
        self.source.capture_on(drawn)
        self.pass_time(drawn)

    @rule(drawn=Draws)
    def emit(self, drawn: Choices) -> None:
        self.connector.emit(1 + drawn.below(16))

    @rule(drawn=Draws)
    def restart_the_connector(self, drawn: Choices) -> None:
        self.connector.restart(drawn)
        self.pass_time(drawn)

    @rule(drawn=Draws)
    def wake_a_zombie_producer(self, drawn: Choices) -> None:
        self.connector.write_late(drawn)
        self.pass_time(drawn)

    @rule(drawn=Draws)
    def read(self, drawn: Choices) -> None:
        self.model.worker.read(drawn)

    @rule(drawn=Draws)
    def park_a_record(self, drawn: Choices) -> None:
        self.model.worker.read(drawn, is_parking=True)

    @rule()
    def proceed(self) -> None:
        self.model.worker.proceed()
        self.look()

    @rule(drawn=Draws)
    def take_in(self, drawn: Choices) -> None:
        self.model.worker.read(drawn)
        self.model.worker.finish()
        self.look()

    @rule(drawn=Draws)
    def deliver_again(self, drawn: Choices) -> None:
        self.model.worker.rewind(drawn)
        self.pass_time(drawn)

    @rule()
    def crash(self) -> None:
        self.model.crash()

    @rule()
    def replace_the_worker(self) -> None:
        self.model.replace()

    @rule(drawn=Draws)
    def wake_a_zombie_writer(self, drawn: Choices) -> None:
        if self.model.zombies:
            drawn.of(self.model.zombies).proceed()
            self.look()

    @rule(drawn=Draws)
    def repair(self, drawn: Choices) -> None:
        repairs = [record for record in self.log.records if record.is_repair]
        if repairs:
            self.model.repair(drawn.of(repairs))
            self.look()

    @rule()
    def sweep(self) -> None:
        for end in self.connector.finished:
            self.model.sweep(end)
        self.look()

    def pass_time(self, drawn: Choices) -> None:
        """Let the connector and the worker take their next steps, a few times or not at all."""
        self.connector.emit(drawn.below(6))
        for _ in range(drawn.below(4)):
            self.model.worker.act(drawn)
            self.look()

    def look(self) -> None:
        """Check the invariants that hold at every moment."""
        self.watch.look(self.model.untold(self.connector))

    def teardown(self) -> None:
        """Stop the faults, work off the lag, and check that the model shows what the source holds."""
        self.source.settle()
        for row in sorted(self.model.unsure):
            self.source.look_at(row)
        self.connector.emit_all()
        self.model.worker.finish()
        self.model.worker = Worker(self.model)
        self.model.worker.read_all()
        self.model.worker.finish()
        for record in self.log.records:
            if record.is_repair:
                self.model.repair(record)
        for end in self.connector.finished:
            self.model.sweep(end)
        for zombie in self.model.zombies:
            zombie.finish()
        target = self.model.target
        shown = visible(target.registers(), target.rule)
        assert shown == target.projection.of(self.source.database.rows), "the model is not what the source holds"
