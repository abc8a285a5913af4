"""The process of one read model: opens the store, follows its live generation, and ends with its parent."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import structlog

from connectors.errors import ContractBroken
from connectors.topics import describe
from pipeline import read_models
from pipeline.analytics import analytics
from pipeline.config import Settings
from pipeline.control import Requests
from pipeline.policy import GivenUp, Patience
from pipeline.source import Source
from pipeline.worker import Worker, has_reached
from sinks.batch import Shard
from sinks.duckdb_readers import Copies, serve
from sinks.duckdb_store import DuckdbStore
from sinks.errors import GenerationMissing, SinkError
from sinks.sink import Sink, Store

log = structlog.get_logger()

EXIT_STOPPED = 1
"""The worker met what only an operator can mend; starting it again would not help."""

EXIT_AGAIN = 75
"""The worker met what passes, where it could not wait for it: `EX_TEMPFAIL` of sysexits.h."""


class TopicsMissing(ContractBroken):
    """A topic of the contract is not there; the brokers make none by themselves."""

    remedy = "Run `readmodels init`, or correct `topic_prefix` and the tables' `source` in readmodels.toml."


def run_model(
    model: str, settings: Settings, until: threading.Event, caught_up_at: Mapping[Shard, int] | None = None
) -> None:
    """Carry changes into the live generation of one model.

    Args:
        until: ends the work when it is set.
        caught_up_at: ends it also once the generation holds everything below these offsets.

    Raises:
        Exception: what the policy says a worker stops at; each type has its remedy.
    """
    structlog.contextvars.bind_contextvars(model=model)
    patience = Patience(until)
    with read_models.STORES[model](settings) as store:
        try:
            if isinstance(store, DuckdbStore):
                patience("stand by for DuckDB", store.open)
            generation = patience("find the live generation", lambda: _live(model, store))
            patience("find the topics", lambda: _require_topics(settings))
        except GivenUp:
            return
        structlog.contextvars.bind_contextvars(generation=generation)
        if isinstance(store, DuckdbStore):
            _let_readers_in(store, settings, until)
        paused = threading.Event()
        Requests(settings.kafka, model, paused).follow(until)
        group, topics = read_models.group(model, generation), list(settings.contract.topics)
        source = Source(settings.kafka, group, topics, settings.batches, paused)
        worker = Worker(
            source,
            read_models.decoder(settings),
            read_models.projection(model, settings),
            store.sink(generation),
            settings.contract.topics,
        )
        log.info("working")
        worker.run(until, _done(caught_up_at))
        log.info("ended")


def _done(caught_up_at: Mapping[Shard, int] | None) -> Callable[[Sink], bool]:
    return has_reached(caught_up_at) if caught_up_at is not None else lambda _: False


def _live(model: str, store: Store) -> int:
    generation = store.live()
    if generation is None:
        raise GenerationMissing(f"{model} has no generation yet")
    return generation


def _require_topics(settings: Settings) -> None:
    wanted = settings.contract.topics
    missing = wanted.keys() - describe(settings.kafka.admin(), wanted).keys()
    if missing:
        raise TopicsMissing(f"there is no topic {', '.join(sorted(missing))}")


def _let_readers_in(store: DuckdbStore, settings: Settings, until: threading.Event) -> None:
    if settings.duckdb.serve:
        directories = [
            settings.duckdb.directory,
            *([Path(settings.duckdb.copy_to).parent] if settings.duckdb.copy_to else []),
        ]
        serve(store.instance(), settings.duckdb.serve, settings.duckdb.token, directories)
        log.info("serving readers", address=settings.duckdb.serve)
    if settings.duckdb.copy_to:
        copies = Copies(
            Path(settings.duckdb.copy_to),
            list(settings.tables),
            settings.duckdb.copy_every_s,
            analytics(settings.duckdb.time_zone),
        )
        threading.Thread(target=_publish, args=(copies, store, until), name="copies", daemon=True).start()


def _publish(copies: Copies, store: DuckdbStore, until: threading.Event) -> None:
    while not until.is_set():
        try:
            copies.publish_if_due(store.instance())
        except SinkError as error:
            log.warning("copy not published", reason=str(error), remedy=error.remedy)
        until.wait(0.5)


def end_on_signals(until: threading.Event) -> None:
    """Let SIGTERM and SIGINT finish the batch in hand; a second one ends at once."""

    def end(number: int, _frame: object) -> None:
        if until.is_set():
            os._exit(128 + number)
        until.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)


def end_with_parent(until: threading.Event, grace_s: float = 30.0) -> None:
    """End when the parent does: it holds the other end of our standard input, which the kernel closes with it."""

    def watch() -> None:
        # Not through sys.stdin: its lock, held while reading, would be asked for at shutdown.
        while os.read(sys.stdin.fileno(), 1):
            pass
        until.set()
        threading.Event().wait(grace_s)
        os._exit(EXIT_STOPPED)

    threading.Thread(target=watch, name="parent", daemon=True).start()
