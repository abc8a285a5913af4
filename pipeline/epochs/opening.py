"""Opening an epoch: the operator's word on what follows, once the log has been seen to be another one.

Nobody feeds the models meanwhile: a worker places what it reads by the epochs that it began with.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

from connectors.kafka import earliest_offsets, end_offsets
from connectors.kafka_connect import ConnectClient, ConnectorMissing
from pipeline import read_models
from pipeline.config import Settings
from pipeline.epochs.fingerprint import Fingerprint, changes
from pipeline.epochs.offset_sink import lives_of, sink_of
from pipeline.epochs.source_monitor import SourceWatch
from pipeline.epochs.tracker import fingerprint
from pipeline.ingest.epoch_history import Lives
from pipeline.ingest.groups import member_count
from pipeline.ingest.log_mismatch import Reason, Seen
from pipeline.postgres.database import connect
from pipeline.postgres.preconditions import require_ready
from pipeline.postgres.source_check import require_whole
from pipeline.postgres.source_history import SourceHistory
from pipeline.setup.source import (
    UNCHANGED,
    Step,
    bring_to_rest,
    connector_step,
    deployment_of,
    drop_slot,
    missing_topics_step,
)
from sinks.batch import Progress, Shard
from sinks.epoch import Epoch, EpochKind
from sinks.generation import now

LEAVE_WITHIN_S = 20.0
"""How long workers that were just killed count as members of their groups: a little longer than their sessions."""

Offsets = Mapping[Shard, int]


class WorkersAtWork(Exception):
    """Workers feed the models, so that no epoch can be opened under them."""

    remedy = "End `readmodels run` wherever it runs, and any replay; then repeat the command."


class CannotBeContinued(Exception):
    """What was seen is not only another log, but a history that may lack changes, or cannot be put in order."""

    remedy = "`readmodels epoch open --resnapshot --execute` begins a new epoch with a snapshot of PostgreSQL."


@dataclass(frozen=True)
class Standing:
    """One generation, and how its log stands.

    Args:
        seen: in what its log is another one than it was fed from.
    """

    model: str
    generation: int
    is_live: bool
    lives: Lives
    seen: tuple[Seen, ...]


def standings(settings: Settings) -> list[Standing]:
    """How the log of every generation stands.

    Raises:
        SinkError, KafkaUnavailable: a store or the brokers do not answer.
        ConfigurationRefused: the connector runs under settings that are refused.
    """
    found = fingerprint(settings)
    of_source = SourceWatch(deployment_of(settings), {}).look()
    standing = []
    for model in read_models.MODELS:
        with read_models.STORES[model](settings) as store:
            live = store.live()
            for number in store.generations():
                lives = lives_of(store, number)
                seen = [*of_source, *(_of_log(lives, found, sink_of(store, number).progress(), settings))]
                standing.append(Standing(model, number, number == live, lives, tuple(seen) if lives.epochs else ()))
    return standing


def _of_log(lives: Lives, found: Fingerprint, progress: Progress, settings: Settings) -> Iterator[Seen]:
    of_topics = list(changes(lives.fingerprint, found))
    yield from of_topics
    if any(one.reason is Reason.TOPIC_REMADE for one in of_topics):
        return
    admin = settings.kafka.admin()
    earliest, ends = (ask(admin, settings.contract.topics) for ask in (earliest_offsets, end_offsets))
    for (topic, partition), end in sorted(ends.items()):
        begin, offset = earliest[topic, partition], progress.of((topic, partition))
        if not begin <= offset <= end:
            holds = f"holds offsets {begin} to {end}"
            yield Seen(Reason.OFFSET_GONE, f"{topic}/{partition} {holds}, and {offset} is the next to be read")


def require_no_workers(standing: Sequence[Standing], settings: Settings) -> None:
    """Refuse while anybody feeds a generation; those who were killed are given the time to be missed.

    Raises:
        WorkersAtWork: with whose generations.
        KafkaUnavailable: the brokers do not answer.
    """
    deadline = time.monotonic() + LEAVE_WITHIN_S
    while True:
        fed = [one for one in standing if member_count(settings.kafka, read_models.group(one.model, one.generation))]
        if not fed:
            return
        if time.monotonic() > deadline:
            named = ", ".join(f"generation {one.generation} of {one.model}" for one in fed)
            raise WorkersAtWork(f"workers feed {named}")
        time.sleep(0.5)


def continuation_steps(standing: Sequence[Standing], settings: Settings) -> list[Step]:
    """The steps after which the models read on in the log that is there now.

    Raises:
        CannotBeContinued: something was seen that a snapshot has to put right.
    """
    ended = [one for one in standing if one.seen]
    refused = sorted({seen.sentence for one in ended for seen in one.seen if not seen.reason.can_be_continued})
    if refused:
        raise CannotBeContinued("; ".join(refused))
    unsettled = [one for one in ended if one.lives.settled is None]
    if unsettled:
        named = ", ".join(f"{one.model}" for one in unsettled)
        raise CannotBeContinued(f"the first snapshot had not ended in {named}, and rows of it may be lost")
    return [_noting(one, settings, _continued) for one in ended]


def resnapshot_steps(standing: Sequence[Standing], settings: Settings) -> list[Step]:
    """The steps after which a new history begins: a new slot, and a snapshot that sweeps what was before it.

    Each may be repeated. The connector comes last: what it writes belongs to the epoch that every generation knows
    by then.
    """
    # Also those of tables that only an older generation has.
    topics = {*settings.contract.topics, *settings.connector.table_topics}
    begins_at: dict[Shard, int] = {}

    def measured() -> str:
        begins_at.update(end_offsets(settings.kafka.admin(), [*topics, settings.connector.notification_topic]))
        return f"the epoch begins behind {sum(begins_at.values()):,} offsets"

    def begun(one: Standing, settings: Settings) -> Epoch:
        resumes_at = {shard: offset for shard, offset in begins_at.items() if shard[0] in topics}
        kind = EpochKind.RESNAPSHOT
        return replace(_next(one, settings), kind=kind, begins_at=begins_at, resumes_at=resumes_at)

    return [
        Step("source", lambda: _require_ready(settings)),
        Step("connector at rest", lambda: _rest(settings)),
        Step("replication slot dropped", lambda: _drop_slot(settings)),
        Step("connector's offsets forgotten", lambda: _forget(settings)),
        missing_topics_step(deployment_of(settings)),
        Step("end of the log so far", measured),
        *[_noting(one, settings, begun) for one in standing if one.lives.epochs],
        Step("gaps of the log so far forgotten", lambda: _forget_gaps(settings)),
        connector_step(deployment_of(settings)),
    ]


def _noting(one: Standing, settings: Settings, epoch: Callable[[Standing, Settings], Epoch]) -> Step:
    def note() -> str:
        require_no_workers([one], settings)
        opened = epoch(one, settings)
        with read_models.STORES[one.model](settings) as store:
            store.note(one.generation, opened)
        return f"epoch {opened.number}, {opened.kind}"

    return Step(f"generation {one.generation} of {one.model}", note)


def _continued(one: Standing, settings: Settings) -> Epoch:
    """The epoch in which a generation reads on where it was, as far as that is still there."""
    remade = {seen.topic for seen in one.seen if seen.reason is Reason.TOPIC_REMADE}
    admin = settings.kafka.admin()
    earliest, ends = (ask(admin, settings.contract.topics) for ask in (earliest_offsets, end_offsets))
    with read_models.STORES[one.model](settings) as store:
        progress = sink_of(store, one.generation).progress()
    goes_on_at = {
        shard: earliest[shard] if shard[0] in remade else min(max(progress.of(shard), earliest[shard]), end)
        for shard, end in ends.items()
    }
    return replace(_next(one, settings), begins_at=goes_on_at, resumes_at=goes_on_at)


def _next(one: Standing, settings: Settings) -> Epoch:
    return Epoch(
        number=len(one.lives.epochs),
        kind=EpochKind.CONTINUED,
        fingerprint=fingerprint(settings),
        opened_at=now(),
        reason="; ".join(f"{seen.reason}: {seen.sentence}" for seen in one.seen) or "an operator wanted it",
    )


def _require_ready(settings: Settings) -> str:
    with closing(connect(settings.source.url)) as connection:
        require_ready(connection, deployment_of(settings).capture)
    return "ready"


def _forget_gaps(settings: Settings) -> str:
    """Begin the source's history anew, with the source as it is before the snapshot."""
    history = SourceHistory(settings.kafka, settings.connector.name)
    history.forget()
    with closing(connect(settings.source.url)) as connection:
        require_whole(connection, deployment_of(settings).capture, history)
    return "forgotten"


def _rest(settings: Settings) -> str:
    """Stop the connector: no task of it is left then that could write, but for one of a worker that Connect lost."""
    name = settings.connector.name
    with closing(ConnectClient(settings.connect.url)) as client:
        try:
            bring_to_rest(client, name)
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
