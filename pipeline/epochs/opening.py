"""Opening of an epoch: the operator's decision on how to proceed after the log was found to be another one.

No worker may run meanwhile, because a worker orders records by the epochs that it started with.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

from connectors.kafka import earliest_offsets, end_offsets
from connectors.kafka_connect import ConnectClient, ConnectorMissing
from pipeline import read_models
from pipeline.config import Settings
from pipeline.epochs.fingerprint import Fingerprint, diff
from pipeline.epochs.offset_sink import open_sink, read_epochs
from pipeline.epochs.old_rows import OldRows
from pipeline.epochs.source_monitor import SourceMonitor
from pipeline.epochs.tracker import current_fingerprint
from pipeline.ingest.epoch_history import EpochHistory
from pipeline.ingest.groups import member_count
from pipeline.ingest.log_mismatch import LogMismatch, MismatchReason
from pipeline.postgres.database import connect
from pipeline.postgres.preconditions import require_ready
from pipeline.postgres.source_check import require_whole
from pipeline.postgres.source_history import SourceHistory
from pipeline.setup.source import (
    UNCHANGED,
    SetupStep,
    connector_step,
    deployment_of,
    drop_slot,
    missing_topics_step,
    stop_connector,
)
from sinks.batch import Progress, TopicPartition
from sinks.epoch import Epoch, EpochKind
from sinks.generation import utc_now

LEAVE_WITHIN_S = 20.0
"""Time during which killed workers still count as members of their groups: slightly longer than their sessions."""


class WorkersRunning(Exception):
    """Workers are writing to the models, so that no epoch can be opened."""

    remedy = "Stop every `readmodels run` and every replay, on all machines; then repeat the command."


class CannotContinue(Exception):
    """The mismatch concerns the history, not only the log: changes may be missing, or cannot be ordered."""

    remedy = "Run `readmodels epoch open --resnapshot --execute`: it starts a new epoch with a snapshot of PostgreSQL."


@dataclass(frozen=True)
class LogState:
    """Generation with the state of its log.

    Args:
        seen: mismatches between its log and the one that it was built from.
    """

    model: str
    generation: int
    is_live: bool
    epoch_history: EpochHistory
    seen: tuple[LogMismatch, ...]


def inspect_logs(settings: Settings) -> list[LogState]:
    """Return the state of every generation's log.

    Raises:
        SinkError, KafkaUnavailable: a store or the brokers do not answer.
        ConfigurationRefused: the connector runs under settings that are refused.
    """
    found = current_fingerprint(settings)
    of_source = SourceMonitor(deployment_of(settings), {}, OldRows(settings)).check()
    standing = []
    for model in read_models.READ_MODELS:
        with read_models.open_store(model, settings) as store:
            live = store.live()
            for number in store.generations():
                epoch_history = read_epochs(store, number)
                seen = [*of_source, *(_of_log(epoch_history, found, open_sink(store, number).progress(), settings))]
                standing.append(
                    LogState(model, number, number == live, epoch_history, tuple(seen) if epoch_history.epochs else ())
                )
    return standing


def _of_log(
    epoch_history: EpochHistory, found: Fingerprint, progress: Progress, settings: Settings
) -> Iterator[LogMismatch]:
    of_topics = list(diff(epoch_history.fingerprint, found))
    yield from of_topics
    if any(one.reason is MismatchReason.TOPIC_REMADE for one in of_topics):
        return
    admin = settings.kafka.admin()
    earliest, ends = (ask(admin, settings.definitions.topics) for ask in (earliest_offsets, end_offsets))
    for (topic, partition), end in sorted(ends.items()):
        begin, offset = earliest[topic, partition], progress.next_offset((topic, partition))
        if not begin <= offset <= end:
            holds = f"holds offsets {begin} to {end}"
            yield LogMismatch(
                MismatchReason.OFFSET_GONE, f"{topic}/{partition} {holds}, and {offset} is the next to be read"
            )


def require_no_workers(standing: Sequence[LogState], settings: Settings) -> None:
    """Refuse while a generation has workers. Sessions of killed workers are given time to expire.

    Raises:
        WorkersRunning: naming the generations.
        KafkaUnavailable: the brokers do not answer.
    """
    deadline = time.monotonic() + LEAVE_WITHIN_S
    while True:
        fed = [
            one
            for one in standing
            if member_count(settings.kafka, read_models.consumer_group(one.model, one.generation))
        ]
        if not fed:
            return
        if time.monotonic() > deadline:
            named = ", ".join(f"generation {one.generation} of {one.model}" for one in fed)
            raise WorkersRunning(f"workers are writing to {named}")
        time.sleep(0.5)


def continuation_steps(standing: Sequence[LogState], settings: Settings) -> list[SetupStep]:
    """Return the steps after which the models continue with the current log.

    Raises:
        CannotContinue: a mismatch requires a snapshot.
    """
    ended = [one for one in standing if one.seen]
    refused = sorted({seen.sentence for one in ended for seen in one.seen if not seen.reason.can_be_continued})
    if refused:
        raise CannotContinue("; ".join(refused))
    unsettled = [one for one in ended if one.epoch_history.completed_snapshot_epoch is None]
    if unsettled:
        named = ", ".join(f"{one.model}" for one in unsettled)
        raise CannotContinue(f"the first snapshot had not ended in {named}, and rows of it may be lost")
    return [_noting(one, settings, _continued) for one in ended]


def resnapshot_steps(standing: Sequence[LogState], settings: Settings) -> list[SetupStep]:
    """Return the steps that start a new history: a new slot, and a snapshot that sweeps earlier rows.

    Each step may be repeated. The connector comes last: everything it writes then belongs to an epoch that every
    generation has recorded.
    """
    # Include the topics of tables that only an older generation has.
    topics = {*settings.definitions.topics, *settings.connector.table_topics}
    begins_at: dict[TopicPartition, int] = {}

    def measured() -> str:
        begins_at.update(end_offsets(settings.kafka.admin(), [*topics, settings.connector.notification_topic]))
        return f"the epoch starts after {sum(begins_at.values()):,} offsets"

    def begun(one: LogState, settings: Settings) -> Epoch:
        resumes_at = {
            topic_partition: offset for topic_partition, offset in begins_at.items() if topic_partition[0] in topics
        }
        kind = EpochKind.RESNAPSHOT
        return replace(_next(one, settings), kind=kind, begins_at=begins_at, resumes_at=resumes_at)

    return [
        SetupStep("source", lambda: _require_ready(settings)),
        SetupStep("connector at rest", lambda: _rest(settings)),
        SetupStep("replication slot dropped", lambda: _drop_slot(settings)),
        SetupStep("connector's offsets forgotten", lambda: _forget(settings)),
        missing_topics_step(deployment_of(settings)),
        SetupStep("end of the log so far", measured),
        *[_noting(one, settings, begun) for one in standing if one.epoch_history.epochs],
        SetupStep("gaps of the log so far forgotten", lambda: _forget_gaps(settings)),
        connector_step(deployment_of(settings)),
    ]


def _noting(one: LogState, settings: Settings, epoch: Callable[[LogState, Settings], Epoch]) -> SetupStep:
    def note() -> str:
        require_no_workers([one], settings)
        opened = epoch(one, settings)
        with read_models.open_store(one.model, settings) as store:
            store.record_epoch(one.generation, opened)
        return f"epoch {opened.number}, {opened.kind}"

    return SetupStep(f"generation {one.generation} of {one.model}", note)


def _continued(one: LogState, settings: Settings) -> Epoch:
    """Return the epoch in which a generation resumes at its progress, as far as those offsets still exist."""
    remade = {seen.topic for seen in one.seen if seen.reason is MismatchReason.TOPIC_REMADE}
    admin = settings.kafka.admin()
    earliest, ends = (ask(admin, settings.definitions.topics) for ask in (earliest_offsets, end_offsets))
    with read_models.open_store(one.model, settings) as store:
        progress = open_sink(store, one.generation).progress()
    goes_on_at = {
        topic_partition: earliest[topic_partition]
        if topic_partition[0] in remade
        else min(max(progress.next_offset(topic_partition), earliest[topic_partition]), end)
        for topic_partition, end in ends.items()
    }
    return replace(_next(one, settings), begins_at=goes_on_at, resumes_at=goes_on_at)


def _next(one: LogState, settings: Settings) -> Epoch:
    return Epoch(
        number=len(one.epoch_history.epochs),
        kind=EpochKind.CONTINUED,
        fingerprint=current_fingerprint(settings),
        opened_at=utc_now(),
        reason="; ".join(f"{seen.reason}: {seen.sentence}" for seen in one.seen) or "requested by an operator",
    )


def _require_ready(settings: Settings) -> str:
    with closing(connect(settings.source.url)) as connection:
        require_ready(connection, deployment_of(settings).capture, is_slot_dropped=True)
    return "ready"


def _forget_gaps(settings: Settings) -> str:
    """Delete the source's history, and record the source as it is before the snapshot."""
    history = SourceHistory(settings.kafka, settings.connector.name)
    history.forget()
    with closing(connect(settings.source.url)) as connection:
        require_whole(connection, deployment_of(settings).capture, history)
    return "forgotten"


def _rest(settings: Settings) -> str:
    """Stop the connector. Then no task can write, except one of a worker that Connect has lost."""
    name = settings.connector.name
    with closing(ConnectClient(settings.connect.url)) as client:
        try:
            stop_connector(client, name)
        except ConnectorMissing:
            return UNCHANGED
    return "stopped"


def _drop_slot(settings: Settings) -> str:
    return settings.connector.slot if drop_slot(deployment_of(settings)) else UNCHANGED


def _forget(settings: Settings) -> str:
    with closing(ConnectClient(settings.connect.url)) as client:
        try:
            client.forget_offsets(settings.connector.name)
        except ConnectorMissing:
            return UNCHANGED
    return "it begins with a snapshot"
