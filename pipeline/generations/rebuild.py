"""Rebuild of a model beside the live generation: fill from the log, verify against the source, cut over.

Each step may be interrupted at any time. Completed work is recorded in the store, so a second replay resumes at the
generation's own progress, at the verification, or at the cutover.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from connectors.kafka import end_offsets
from pipeline import read_models
from pipeline.catch_up import POLL_INTERVAL_S, wait_until_caught_up
from pipeline.config import Settings
from pipeline.epochs.offset_sink import open_sink
from pipeline.generations.builders import Builders, running_builders
from pipeline.generations.cutover import CutoverResult, GenerationCatchUpTimeout, cut_over, drop
from pipeline.generations.earlier_columns import Values, noting
from pipeline.generations.readable import readable_generations
from pipeline.generations.rebuild_target import RebuildTarget, choose_target, seed
from pipeline.ingest.epoch_history import for_rebuild
from pipeline.ingest.groups import member_count
from pipeline.postgres.incremental_snapshot import SnapshotProgress, SnapshotRequest
from pipeline.postgres.watermark import committed_end_offsets
from pipeline.stores.read_model import ServedSettings, SingleWriter
from pipeline.verify.result import VerifyResult
from pipeline.verify.verify import Scope, Watcher, verify
from sinks.batch import Offsets, Progress
from sinks.epoch import Epoch
from sinks.errors import GenerationBroken, StoreUnavailable
from sinks.ordering.range_tombstone import RangeTombstone
from sinks.sink import Store

JOINS_WITHIN_S = 60.0
"""Timeout for the model's own workers to join the consumer group of a new generation."""


class RebuildWatcher(Watcher, Protocol):
    """Callbacks for the progress of a replay."""

    def begun(self, where: RebuildTarget) -> None:
        """Report that a generation is ready to be filled."""

    def building(self, progress: Progress, ends: Offsets) -> None:
        """Report the progress, and the offsets to reach."""

    def step(self, words: str) -> None:
        """Report the current step."""


@dataclass(frozen=True, kw_only=True)
class RebuildRequest:
    """Request for a replay.

    Args:
        range_tombstones: sweeps that the log does not contain.
        earlier: values of the columns that earlier records lack.
        epochs: epochs of the log, for a model whose live generation no longer records them.
        is_from_snapshot: whether the generation is filled from the current end of the log and a snapshot of PostgreSQL,
            because the log's beginning is lost.
        is_verified: whether the generation is verified.
        is_cut_over: whether the generation goes live.
        starts_over: whether the remains of an earlier replay are dropped.
        processes: number of builder processes, which share the partitions.
        timeout_s: how long a generation may take to reach a watermark after it has caught up.
    """

    model: str
    range_tombstones: tuple[RangeTombstone, ...] = ()
    epochs: tuple[Epoch, ...] = ()
    earlier: Values = field(default_factory=dict)
    is_from_snapshot: bool = False
    is_verified: bool = True
    is_cut_over: bool = True
    starts_over: bool = False
    processes: int = 1
    timeout_s: float = 120.0


@dataclass(frozen=True)
class RebuildResult:
    """Result of a replay.

    Args:
        result: of the comparison; None if none was requested.
        switched: the cutover; None if there was none.
        has_workers: whether the model's own workers keep the generation current.
    """

    generation: int
    result: VerifyResult | None = None
    switched: CutoverResult | None = None
    has_workers: bool = True

    @property
    def is_equal(self) -> bool:
        """True if no difference was found."""
        return self.result is None or self.result.is_equal


@dataclass(frozen=True)
class Rebuild:
    """Replay of one model.

    Args:
        command: returns the command line of a builder for a generation, or of a writer of the store for None.
        log_folder: folder of the log files of those processes.
    """

    settings: Settings
    wanted: RebuildRequest
    command: Callable[[int | None], Sequence[str]]
    log_folder: Path
    watcher: RebuildWatcher

    def run(self) -> RebuildResult:
        """Run all steps.

        Raises:
            BuilderFailed: a builder cannot apply the log to the generation.
            GenerationCatchUpTimeout: the generation did not catch up in time, or no worker keeps it current.
            SinkError: the store does not answer.
        """
        with ExitStack() as stack:
            store = stack.enter_context(read_models.open_shared(self.wanted.model, self.settings))
            processes: list[Builders] = []
            settings = self.settings
            single_writer = read_models.READ_MODELS[self.wanted.model].single_writer
            if single_writer is not None:
                self.watcher.step("waiting for a process that holds the files")
                served = single_writer.served(settings)
                processes = [stack.enter_context(self._written_by(single_writer, served))]
                settings = served.settings
            where = self._begin(store)
            generation = where.generation
            builders = stack.enter_context(self._built_by(generation))
            processes.append(builders)
            if self.wanted.is_from_snapshot:
                self._take_snapshot(builders)
            store.mark_complete(generation, self._filled(store, generation, processes))
            result = self._verified(generation, settings) if self.wanted.is_verified else None
            if result is not None and not result.is_equal:
                store.mark_rejected(generation)
                return RebuildResult(generation, result)
            has_workers = self._has_workers(readable_generations(store).live)
            if has_workers:
                self._hand_over(generation, builders)
            if not self.wanted.is_cut_over:
                return RebuildResult(generation, result, has_workers=has_workers)
            return RebuildResult(generation, result, self._cut_over(generation), has_workers)

    def _begin(self, store: Store) -> RebuildTarget:
        wanted = self.wanted
        ends = committed_end_offsets(self.settings, self.settings.definitions.topics) if wanted.earlier else {}
        newborn = read_models.new_metadata(wanted.model, noting(self.settings, wanted.earlier, ends))
        found = readable_generations(store)
        starts = end_offsets(self.settings.kafka.admin(), self.settings.definitions.topics)
        record = replace(
            newborn,
            is_complete=False,
            fences=wanted.range_tombstones,
            seed_offsets=starts if wanted.is_from_snapshot else {},
            epochs=for_rebuild(found.alive.epochs or wanted.epochs),
        )
        where = choose_target(found.generations, found.live, record, starts_over=wanted.starts_over)
        try:
            self._drop(store, where)
            seed(store, where, record)
        except GenerationBroken:
            if not where.is_resumed:
                raise
            # An interrupted replay created this generation, and its files were damaged since.
            where = where.anew(found.generations)
            self._drop(store, where)
            seed(store, where, record)
        self.watcher.begun(where)
        return where

    def _drop(self, store: Store, where: RebuildTarget) -> None:
        for number in where.dropped:
            drop(self.wanted.model, number, store, self.settings)

    def _built_by(self, generation: int) -> AbstractContextManager[Builders]:
        log_file = self.log_folder / f"replay-{self.wanted.model}-{generation}.log"
        names = [f"builder {number}" for number in range(1, self.wanted.processes + 1)]
        return running_builders(names, lambda _: self.command(generation), log_file)

    @contextmanager
    def _written_by(self, single_writer: SingleWriter, served: ServedSettings) -> Iterator[Builders]:
        """Run a writer process, in case no worker has the store open. The block begins once some process does."""
        log_file = self.log_folder / f"replay-{self.wanted.model}-writer.log"
        with running_builders(["writer"], lambda _: self.command(None), log_file, served.environment) as process:
            single_writer.wait_for_writer(self.settings, process.raise_if_stopped, log_file)
            yield process

    def _take_snapshot(self, builders: Builders) -> None:
        """Snapshot all tables. Repeats the snapshot if an earlier replay was interrupted, which is harmless."""

        def tell(progress: SnapshotProgress) -> None:
            builders.raise_if_stopped()
            self.watcher.step(f"snapshot of PostgreSQL, {progress.elapsed_s:.0f} s")

        wanted = SnapshotRequest(tables=tuple(table.source for table in self.settings.tables.values()))
        read_models.incremental_snapshots(self.settings).run(wanted, tell)

    def _filled(self, store: Store, generation: int, processes: Sequence[Builders]) -> float:
        """Wait until the generation has applied everything committed before this call.

        Returns: offsets per second; zero if the generation held most of the log before.
        """
        self.watcher.step("filling")
        began, begun_with = time.monotonic(), open_sink(store, generation).progress()
        ends = committed_end_offsets(self.settings, self.settings.definitions.topics)

        def require_at_work() -> None:
            for one in processes:
                one.raise_if_stopped()

        def look(progress: Progress) -> None:
            require_at_work()
            self.watcher.building(progress, ends)

        def unavailable(error: StoreUnavailable) -> None:
            require_at_work()
            self.watcher.step(f"waiting: {error}")

        wait_until_caught_up(
            open_sink(store, generation).progress,
            ends,
            GenerationCatchUpTimeout,
            look,
            unavailable=unavailable,
        )
        offsets = sum(begun_with.lag(ends).values())
        return offsets / (time.monotonic() - began) if offsets > sum(ends.values()) / 2 else 0.0

    def _verified(self, generation: int, settings: Settings) -> VerifyResult:
        self.watcher.step("comparing with PostgreSQL")
        model = self.wanted.model
        scope = Scope(timeout_s=self.wanted.timeout_s)
        [result] = verify([model], settings, scope, self.watcher, {model: generation})
        return result

    def _has_workers(self, live: int | None) -> bool:
        """Return whether the model's own workers run. They are members of the live generation's consumer group."""
        return (
            live is not None
            and member_count(self.settings.kafka, read_models.consumer_group(self.wanted.model, live)) > 0
        )

    def _hand_over(self, generation: int, builders: Builders) -> None:
        """Hand the generation over to the model's workers, which join its group once it is complete."""
        self.watcher.step("handing over to the model's workers")
        group = read_models.consumer_group(self.wanted.model, generation)
        builders.end()
        deadline = time.monotonic() + JOINS_WITHIN_S
        while not member_count(self.settings.kafka, group):
            if time.monotonic() > deadline:
                raise GenerationCatchUpTimeout(
                    f"no worker has taken over generation {generation} after {JOINS_WITHIN_S:g} s"
                )
            time.sleep(POLL_INTERVAL_S)

    def _cut_over(self, generation: int) -> CutoverResult:
        self.watcher.step("cutting over")
        return cut_over(self.wanted.model, generation, self.settings, lambda _: None, self.wanted.timeout_s)
