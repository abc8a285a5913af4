"""Worker process of one read model: opens the store, updates its generations, and ends with its parent."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from functools import partial

import structlog

from connectors.errors import SourceContractViolation
from connectors.topics import describe
from pipeline import read_models
from pipeline.config import DuckdbSettings, Settings
from pipeline.epochs.guard import EpochGuard, GuardedDecoder, GuardedSink
from pipeline.epochs.offset_sink import OffsetTranslatingSink, read_epochs
from pipeline.epochs.old_rows import OldRows
from pipeline.epochs.source_monitor import SourceMonitor
from pipeline.epochs.sweeper import Sweeper
from pipeline.epochs.tracker import track_epochs
from pipeline.ingest.accumulator import BatchAccumulator
from pipeline.ingest.control_topic import PauseListener
from pipeline.ingest.retry import Retrier, StopRequested
from pipeline.ingest.source import KafkaSource
from pipeline.ingest.worker import Worker, caught_up_to
from pipeline.log_scan.assessment import scopes_of
from pipeline.memory_limit import MemoryLimit, data_bytes, named_exhaustion
from pipeline.postgres.watermark import select_topics
from pipeline.runtime.activity import Activity, ObservedSink, ProcessActivity
from pipeline.runtime.first_fill import FirstFill, KafkaSnapshotLog, first_fill_settings
from pipeline.runtime.generation_worker import BackgroundTask, GenerationWorker
from pipeline.runtime.heartbeat_thread import HeartbeatThread
from pipeline.runtime.published_copy import publishing
from pipeline.runtime.watchdog import Watchdog, WatchedStore
from pipeline.runtime.worker_pool import WorkerPool
from pipeline.setup.source import deployment_of
from sinks.batch import TopicPartition
from sinks.duckdb.remote.server import WriterServer
from sinks.duckdb.serving import ServingSettings, files_of, memory_bytes, serve
from sinks.duckdb.store import DuckdbStore, WriterLockHeld
from sinks.errors import GenerationBroken, GenerationMissing
from sinks.generation import NO_METADATA
from sinks.sink import Sink, Store, WorkerStore

log = structlog.get_logger()

EXIT_STOPPED = 1
"""Exit code after an error that requires an operator. A restart would not help."""

EXIT_TEMPFAIL = 75
"""Exit code after a temporary error that the process cannot wait for: `EX_TEMPFAIL` of sysexits.h."""

STANDS_BY_EVERY_S = 0.2
"""Interval at which a standby process checks whether DuckDB's writer lock is free."""


class TopicsMissing(SourceContractViolation):
    """A topic of the definitions does not exist. The brokers do not create topics automatically."""

    remedy = (
        "If the names are wrong, correct `topic_prefix` or the tables' `source` in readmodels.toml. Then run "
        "`readmodels init`, which creates missing topics, and start the worker again."
    )


def run_workers(
    model: str, settings: Settings, stop: threading.Event, caught_up_at: Mapping[TopicPartition, int] | None = None
) -> None:
    """Apply changes to every generation of one model that readers see, may return to, or may see later.

    Args:
        stop: ends the work when it is set.
        caught_up_at: also ends it once the generations have everything below these offsets.

    Raises:
        Exception: an error at which the recovery policy stops a worker; each type has its remedy.
    """
    structlog.contextvars.bind_contextvars(model=model)
    activity = ProcessActivity(model)
    patience = Retrier(stop, activity.of_process)
    with (
        HeartbeatThread(settings.kafka, activity),
        named_exhaustion(),
        _opened(model, settings) as store,
        ExitStack() as stack,
    ):
        watched = WatchedStore(store, _watchdog(model, settings))
        try:
            if isinstance(store, DuckdbStore):
                activity.is_standby = True
                patience("open DuckDB", store.open)
                activity.is_standby = False
                # Serve before the live generation is looked up: another one can be built even if that one is broken.
                stack.enter_context(_serving(store, settings, stop))
            patience("find the live generation", lambda: _require_live(model, watched))
            patience("find the topics", lambda: _require_topics(settings))
        except StopRequested:
            return
        PauseListener(settings.kafka, model, activity.paused).start(stop)

        def hire(generation: int) -> GenerationWorker:
            return _worker(model, settings, watched, generation, activity.of(generation))

        done = partial(_done, watched, settings, caught_up_at)
        WorkerPool(watched, hire, done, _source_watched(watched, settings, stop)).run(stop)


def run_builder(model: str, generation: int, settings: Settings, stop: threading.Event) -> None:
    """Apply the log to one generation, complete or not, until `stop` is set.

    Several processes may do so; they share the partitions.

    Raises:
        Exception: an error at which the recovery policy stops a worker; each type has its remedy.
    """
    structlog.contextvars.bind_contextvars(model=model, generation=generation)
    with named_exhaustion(), read_models.open_shared(model, settings) as store:
        log.info("build started")
        watched = WatchedStore(store, _watchdog(model, settings))
        _worker(model, settings, watched, generation, Activity(), is_rebuilt=True).run(stop)


def write_duckdb(settings: Settings, stop: threading.Event) -> None:
    """Hold DuckDB's writer lock while no worker does, and write for other processes, until `stop` is set.

    It consumes no log itself, so a broken live generation, or a log that stops its worker, is no obstacle.
    """
    structlog.contextvars.bind_contextvars(model="duckdb")
    with closing(read_models.open_duckdb(settings)) as store:
        while not stop.is_set():
            try:
                store.mend()
            except WriterLockHeld:
                stop.wait(STANDS_BY_EVERY_S)
            else:
                log.info("writer started")
                with _serving(store, settings, stop):
                    stop.wait()


@contextmanager
def _serving(store: DuckdbStore, settings: Settings, stop: threading.Event) -> Iterator[None]:
    """Serve readers, and processes that have something to write."""
    with WriterServer(settings.duckdb.directory, store).serve_in_background(), _let_readers_in(store, settings, stop):
        yield


def _opened(model: str, settings: Settings) -> AbstractContextManager[Store]:
    """Open the store for its workers. For DuckDB they take the writer lock."""
    return closing(read_models.open_duckdb(settings)) if model == "duckdb" else read_models.STORES[model](settings)


def _worker(
    model: str,
    settings: Settings,
    store: WorkerStore,
    generation: int,
    activity: Activity,
    *,
    is_rebuilt: bool = False,
) -> GenerationWorker:
    """Assemble the worker of one generation, and its background tasks.

    Args:
        is_rebuilt: true if readers do not see the generation until a rebuild has filled it.
    """
    record = store.generations().get(generation)
    if record is None:
        raise GenerationMissing(f"{model} has no generation {generation}")
    if record.is_unreadable:
        raise GenerationBroken(f"the metadata of generation {generation} of {model} is damaged")
    own = read_models.settings_for(record, settings)
    topics, shapes = own.definitions.topics, read_models.shapes(model, own)
    is_filled_first = not (is_rebuilt or record.is_complete)
    gather = settings.rebuild if is_rebuilt else settings.catch_up
    if is_filled_first:
        gather = first_fill_settings(own.rebuild, is_snapshot_over=False)
    accumulator = BatchAccumulator(gather, shapes)
    known = track_epochs(store, generation, own)
    gate, sink = EpochGuard(own.kafka.admin(), topics, known), OffsetTranslatingSink(store.sink(generation), known())
    worker = Worker(
        KafkaSource(
            own.kafka, read_models.consumer_group(model, generation), list(topics), own.batches, activity.paused
        ),
        GuardedDecoder(read_models.decoder(own), gate),
        read_models.projection(model, own, known()),
        GuardedSink(ObservedSink(sink, activity), gate),
        topics,
        accumulator,
    )
    beside: list[BackgroundTask] = []
    if record.is_complete or is_filled_first:
        beside.append(Sweeper(own, scopes_of(shapes), known, OffsetTranslatingSink(store.sink(generation), known())))
    if is_filled_first:
        sink = OffsetTranslatingSink(store.sink(generation), known())
        beside.append(FirstFill(own, store, generation, sink, accumulator, KafkaSnapshotLog(own)))
    return GenerationWorker(worker, gate, beside, activity)


def _source_watched(store: WorkerStore, settings: Settings, stop: threading.Event) -> Callable[[], None]:
    """Check the source before any record is consumed, then at intervals until `stop` is set."""
    live = store.live()
    fingerprint = read_epochs(store, live).fingerprint if live is not None else {}
    watch = SourceMonitor(deployment_of(settings), fingerprint, OldRows(settings))
    watch.check_or_raise()
    watch.start(stop)
    return watch.raise_if_failed


def _watchdog(model: str, settings: Settings) -> Watchdog:
    return Watchdog(settings.watchdog.budget_for(model), partial(os._exit, EXIT_TEMPFAIL))


def _done(
    store: WorkerStore, settings: Settings, caught_up_at: Mapping[TopicPartition, int] | None, generation: int
) -> Callable[[Sink], bool]:
    if caught_up_at is None:
        return lambda _: False
    own = read_models.settings_for(store.generations().get(generation, NO_METADATA), settings)
    is_reached = caught_up_to(select_topics(caught_up_at, own.definitions.topics))
    return lambda sink: is_reached(sink) and store.generations().get(generation, NO_METADATA).is_complete


def _require_live(model: str, store: WorkerStore) -> None:
    if store.live() is None:
        raise GenerationMissing(f"{model} has no generation yet")


def _require_topics(settings: Settings) -> None:
    wanted = settings.definitions.topics
    missing = wanted.keys() - describe(settings.kafka.admin(), wanted).keys()
    if missing:
        raise TopicsMissing(f"there is no topic {', '.join(sorted(missing))}")


@contextmanager
def _let_readers_in(store: DuckdbStore, settings: Settings, stop: threading.Event) -> Iterator[None]:
    with publishing(store, settings), _served_to_readers(store, settings, stop):
        yield


@contextmanager
def _served_to_readers(store: DuckdbStore, settings: Settings, stop: threading.Event) -> Iterator[None]:
    if not settings.duckdb.serve:
        yield
        return
    with closing(serve(store.instance(), _served(settings.duckdb))):
        # Measure after the server has started its threads: their stacks count, although readers never fill them.
        taken_bytes = data_bytes()
        bound = MemoryLimit(taken_bytes + sum(memory_bytes(store.instance(), settings.duckdb.memory_headroom)))
        bound.apply()
        bound.follow(stop)
        log.info("serving readers", address=settings.duckdb.serve)
        yield


def _served(duckdb: DuckdbSettings) -> ServingSettings:
    files = files_of(duckdb.directory, duckdb.copy_to)
    return ServingSettings(duckdb.serve, duckdb.token, files, duckdb.bounds, duckdb.serve_insecure)


def stop_on_signals(stop: threading.Event) -> None:
    """Handle SIGTERM and SIGINT: the first one finishes the current batch, a second one exits at once."""

    def end(number: int, _frame: object) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)


def stop_with_parent(stop: threading.Event, grace_s: float = 30.0) -> None:
    """Stop when the parent process ends. The kernel then closes the parent's end of this process's standard input."""

    def watch() -> None:
        # Read the descriptor, not sys.stdin: a reader holds its lock, which the interpreter needs at shutdown.
        while os.read(sys.stdin.fileno(), 1):
            pass
        stop.set()
        threading.Event().wait(grace_s)
        os._exit(EXIT_STOPPED)

    threading.Thread(target=watch, name="parent", daemon=True).start()
