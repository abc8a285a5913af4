"""Worker process of one read model: opens the store, updates its generations, and ends with its parent."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial

import structlog

from connectors.errors import SourceContractViolation
from connectors.topics import describe
from pipeline import read_models
from pipeline.config import Settings
from pipeline.epochs.generation_epochs import GenerationEpochs
from pipeline.epochs.offset_sink import read_epochs
from pipeline.epochs.old_rows import OldRows
from pipeline.epochs.source_monitor import SourceMonitor
from pipeline.epochs.sweeper import Sweeper
from pipeline.ingest.accumulator import BatchAccumulator
from pipeline.ingest.control_topic import PauseListener
from pipeline.ingest.retry import Retrier, StopRequested
from pipeline.ingest.source import KafkaSource
from pipeline.ingest.worker import Worker, caught_up_to
from pipeline.log_scan.assessment import scopes_of
from pipeline.memory_limit import named_exhaustion
from pipeline.postgres.watermark import select_topics
from pipeline.runtime.activity import Activity, ObservedSink, ProcessActivity
from pipeline.runtime.first_fill import FirstFill, KafkaSnapshotLog, first_fill_settings
from pipeline.runtime.generation_worker import BackgroundTask, GenerationWorker, IsDone
from pipeline.runtime.heartbeat_thread import HeartbeatThread
from pipeline.runtime.watchdog import Watchdog, WatchedStore
from pipeline.runtime.worker_pool import WorkerPool
from pipeline.setup.source import deployment_of
from sinks.batch import TopicPartition
from sinks.errors import GenerationBroken, GenerationMissing
from sinks.generation import NO_METADATA
from sinks.sink import WorkerStore

log = structlog.get_logger()

EXIT_STOPPED = 1
"""Exit code after an error that requires an operator. A restart would not help."""

EXIT_TEMPFAIL = 75
"""Exit code after a temporary error that the process cannot wait for: `EX_TEMPFAIL` of sysexits.h."""


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
        ExitStack() as stack,
    ):
        described = read_models.READ_MODELS[model]
        single_writer = described.single_writer
        writer = stack.enter_context(single_writer.open_writer(settings)) if single_writer else None
        store = writer.store if writer else stack.enter_context(described.open(settings))
        watched = WatchedStore(store, _watchdog(model, settings))
        try:
            if writer is not None:
                activity.is_standby = True
                patience(f"open {described.title}", writer.lock)
                activity.is_standby = False
                # Serve before the live generation is looked up: another one can be built even if that one is broken.
                stack.enter_context(writer.serving(stop))
            patience("find the live generation", lambda: _require_live(model, watched))
            patience("find the topics", lambda: _require_topics(settings))
        except StopRequested:
            return
        PauseListener(settings.kafka, model, activity.paused).start(stop)

        def hire(generation: int) -> GenerationWorker:
            worker = _worker(model, settings, watched, generation, activity.of(generation))
            worker.is_done = _done(watched, settings, caught_up_at, generation)
            return worker

        WorkerPool(watched, hire, _source_watched(watched, settings, stop)).run(stop)


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


def run_writer(model: str, settings: Settings, stop: threading.Event) -> None:
    """Hold the store's writer lock while no worker does, and write for other processes, until `stop` is set.

    It consumes no log itself, so a broken live generation, or a log that stops its worker, is no obstacle.

    Args:
        model: a model whose store only one process may write.
    """
    structlog.contextvars.bind_contextvars(model=model)
    single_writer = read_models.READ_MODELS[model].single_writer
    assert single_writer is not None
    with single_writer.open_writer(settings) as writer:
        writer.write_for_others(stop)


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
    epochs = GenerationEpochs(store, generation, own)
    worker = Worker(
        KafkaSource(
            own.kafka, read_models.consumer_group(model, generation), list(topics), own.batches, activity.paused
        ),
        epochs.checked_decoder(read_models.decoder(own)),
        read_models.projection(model, own, epochs.tracker()),
        epochs.checked_sink(ObservedSink(epochs.sink(), activity)),
        topics,
        accumulator,
    )
    beside: list[BackgroundTask] = []
    if record.is_complete or is_filled_first:
        beside.append(Sweeper(own, scopes_of(shapes), epochs.tracker, epochs.sink()))
    if is_filled_first:
        beside.append(FirstFill(own, store, generation, epochs.sink(), accumulator, KafkaSnapshotLog(own)))
    return GenerationWorker(generation, worker, epochs.guard, beside, activity)


def _source_watched(store: WorkerStore, settings: Settings, stop: threading.Event) -> Callable[[], None]:
    """Check the source before any record is consumed, then at intervals until `stop` is set."""
    live = store.live()
    fingerprint = read_epochs(store, live).fingerprint if live is not None else {}
    watch = SourceMonitor(deployment_of(settings), fingerprint, OldRows(settings))
    watch.check_or_raise()
    watch.start(stop)
    return watch.raise_if_failed


def _watchdog(model: str, settings: Settings) -> Watchdog:
    return Watchdog(read_models.READ_MODELS[model].call_budget_s(settings), partial(os._exit, EXIT_TEMPFAIL))


def _done(
    store: WorkerStore, settings: Settings, caught_up_at: Mapping[TopicPartition, int] | None, generation: int
) -> IsDone:
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
