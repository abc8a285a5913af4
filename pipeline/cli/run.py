"""Commands `run`, `pause` and `resume`, and the process of one worker."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import closing
from functools import partial
from typing import Annotated

import orjson
import structlog
import typer

from connectors.kafka import KafkaUnavailable
from connectors.topics import describe
from pipeline import read_models
from pipeline.cli.context import Context, context_of, err, out, print_error, remedy_of
from pipeline.config import Settings
from pipeline.crash_report import describe_error
from pipeline.generations.readable import readable_generations
from pipeline.ingest import control_topic
from pipeline.ingest.retry import RecoveryAction, action_for
from pipeline.postgres.database import SourceUnavailable, connect
from pipeline.postgres.source_check import require_whole
from pipeline.postgres.source_history import SourceHistory
from pipeline.postgres.watermark import WatermarkTimeout, committed_end_offsets
from pipeline.runtime.process import (
    EXIT_STOPPED,
    EXIT_TEMPFAIL,
    run_builder,
    run_workers,
    run_writer,
    stop_on_signals,
    stop_with_parent,
)
from pipeline.runtime.supervisor import Supervisor
from pipeline.setup.snapshots import require_snapshots
from pipeline.setup.source import deployment_of
from sinks.batch import TopicPartition
from sinks.errors import SinkError

log = structlog.get_logger()
Models = Annotated[list[str] | None, typer.Argument(metavar="[MODEL]...", help="Read models; all by default.")]


def run(
    context: typer.Context,
    models: Models = None,
    until_caught_up: Annotated[
        bool, typer.Option("--until-caught-up", help="Exit once the models hold everything committed until now.")
    ] = False,
    processes: Annotated[int, typer.Option(min=1, help="Processes per model; they share the partitions.")] = 1,
) -> None:
    """Keep the read models in sync, one process per model, until you end it with ^C.

    A store that is down delays only its own model; its worker waits and resumes automatically. More processes, on this
    or other machines, share the work. DuckDB has one writer: another process of it waits and takes over.

    --until-caught-up exits with 1 if a captured table has rows that no snapshot has read: the models lack them.
    """
    chosen = read_models.parse_names(models)
    settings = context_of(context).settings()
    _check_source(settings)
    ends = _ends_to_reach(settings) if until_caught_up else None
    until = threading.Event()
    stop_on_signals(until)
    supervisor = Supervisor(
        lambda model: worker_command(context_of(context), model, ends), live=partial(_live, settings)
    )
    code = supervisor.run([process for model in chosen for process in _processes(model, processes)], until)
    if code:
        raise typer.Exit(code)
    if until_caught_up:
        require_snapshots(settings)


def _processes(model: str, asked: int) -> list[str]:
    """Return the model's name once for each of its processes."""
    return [model] * (1 if read_models.READ_MODELS[model].is_single_writer else asked)


def _live(settings: Settings, model: str) -> int | None:
    try:
        with read_models.open_store(model, settings) as store:
            return readable_generations(store).live
    except SinkError:
        return None


def work(
    context: typer.Context,
    model: str,
    ends: Annotated[str, typer.Option(help="Offsets at which to end, as JSON.")] = "",
    generation: Annotated[int | None, typer.Option(help="Build this generation, and nothing else.")] = None,
    is_writer: Annotated[bool, typer.Option("--writer", help="Write the store for other processes only.")] = False,
) -> None:
    """Run the process of one model while standard input is open."""
    until = threading.Event()
    stop_on_signals(until)
    stop_with_parent(until)
    try:
        settings = context_of(context).settings()
        if is_writer:
            run_writer(model, settings, until)
        elif generation is None:
            run_workers(model, settings, until, _parsed(ends) if ends else None)
        else:
            run_builder(model, generation, settings, until)
    except Exception as error:  # noqa: BLE001 - the policy: what it does not know stops the worker
        remedy = remedy_of(error)
        log.error("worker failed", model=model, reason=describe_error(error), remedy=remedy)
        print_error(error, remedy)
        sys.stderr.flush()
        # Exit at once because threads of client libraries would keep the process alive.
        os._exit(EXIT_STOPPED if action_for(error) is RecoveryAction.STOP else EXIT_TEMPFAIL)


def pause(context: typer.Context, models: Models = None) -> None:
    """Pause the workers of these models until `resume`. They stay in their consumer groups and lose nothing."""
    _control(context_of(context), models, is_paused=True)


def resume(context: typer.Context, models: Models = None) -> None:
    """Resume the workers of these models."""
    _control(context_of(context), models, is_paused=False)


def _control(context: Context, models: Sequence[str] | None, *, is_paused: bool) -> None:
    settings = context.settings()
    for model in read_models.parse_names(list(models or [])):
        control_topic.request_pause(settings.kafka, model, is_paused=is_paused)
        out.print(f"{model}: {'paused' if is_paused else 'resumed'}")


def _check_source(settings: Settings) -> None:
    """Check the source before the workers start. If it does not answer, the workers still consume the log."""
    try:
        with closing(connect(settings.source.url)) as connection:
            history = SourceHistory(settings.kafka, settings.connector.name)
            require_whole(connection, deployment_of(settings).capture, history)
    except (SourceUnavailable, KafkaUnavailable) as error:
        log.warning("source check skipped", reason=str(error))


def _ends_to_reach(settings: Settings) -> Mapping[TopicPartition, int]:
    try:
        return captured_end_offsets(settings)
    except WatermarkTimeout:
        # No change is streamed before the initial snapshot has ended: report that cause instead.
        require_snapshots(settings)
        raise


def captured_end_offsets(settings: Settings) -> Mapping[TopicPartition, int]:
    """Return the end offsets at which everything that is committed now is in the models.

    These are the ends of every existing topic of described and of captured tables: a generation may be made
    of tables that are no longer described.
    """
    wanted = describe(settings.kafka.admin(), {*settings.definitions.topics, *settings.connector.table_topics})
    err.print("[dim]waiting for what is committed now to reach Kafka…[/]")
    return committed_end_offsets(settings, wanted)


def builder_command(context: Context, model: str, generation: int | None) -> list[str]:
    """Return the command line of a process that builds a generation, or of a writer for others if there is none."""
    command = worker_command(context, model)
    return [*command, "--writer"] if generation is None else [*command, "--generation", str(generation)]


def worker_command(context: Context, model: str, ends: Mapping[TopicPartition, int] | None = None) -> list[str]:
    """Return the command line of one model's process."""
    places = ["--config", str(context.file), "--home", str(context.home)]
    command = [sys.executable, "-m", "pipeline.cli", *places, "work", model]
    if ends is None:
        return command
    written = [[topic, partition, offset] for (topic, partition), offset in ends.items()]
    return [*command, "--ends", orjson.dumps(written).decode()]


def _parsed(ends: str) -> dict[TopicPartition, int]:
    return {(topic, partition): offset for topic, partition, offset in orjson.loads(ends)}
