"""Workers of a deployment according to the control topic: last heartbeats, and requests to pause."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from connectors.kafka import KafkaSettings
from pipeline.ingest.control_topic import StoredControl, is_pause, read_control
from pipeline.runtime.heartbeat import MISSING_AFTER_S, PREFIX, Heartbeat, WorkerState, heartbeat_from


@dataclass(frozen=True)
class KnownWorker:
    """Worker process known from its heartbeats.

    Args:
        heard_at: time at which its last heartbeat was stored.
        silent_s: age of that heartbeat.
    """

    last: Heartbeat
    heard_at: datetime
    silent_s: float

    @property
    def is_missing(self) -> bool:
        """True if it sends no heartbeats, although it did not stop."""
        return self.last.state is not WorkerState.STOPPED and self.silent_s > MISSING_AFTER_S

    @property
    def is_running(self) -> bool:
        """True if it sent a heartbeat recently."""
        return self.last.state not in {WorkerState.STOPPED, WorkerState.RESTARTING} and not self.is_missing

    @property
    def place(self) -> str:
        """Host and process id."""
        return f"{self.last.host}, process {self.last.pid}"

    def to_json(self) -> dict[str, Any]:
        """Convert to plain data."""
        seen = {"is_running": self.is_running, "heard_at": self.heard_at, "silent_s": round(self.silent_s, 1)}
        return {**msgspec.to_builtins(self.last, str_keys=True), **seen}


@dataclass(frozen=True)
class ControlState:
    """Content of the control topic.

    Args:
        workers: running workers, and stopped or missing ones until a later worker replaces them.
        paused_since: the models that are to pause, with the time of each request.
    """

    workers: tuple[KnownWorker, ...]
    paused_since: Mapping[str, datetime]

    def of(self, model: str) -> list[KnownWorker]:
        """Return the workers of one model."""
        return [worker for worker in self.workers if worker.last.model == model]


def read_workers(kafka: KafkaSettings) -> ControlState:
    """Read the control topic.

    Raises:
        ControlTopicMissing: the topic does not exist.
        KafkaUnavailable: the brokers did not answer.
    """
    return parse_control(read_control(kafka), datetime.now(UTC))


def parse_control(kept: Mapping[str, StoredControl], now: datetime) -> ControlState:
    """Parse the last record of every key.

    Args:
        now: from a clock that agrees with the brokers' to a few seconds.
    """
    heard = [
        KnownWorker(heartbeat, one.stored_at, max(0.0, (now - one.stored_at).total_seconds()))
        for key, one in kept.items()
        if key.startswith(PREFIX) and (heartbeat := _heartbeat(one.value)) is not None
    ]
    paused = {key: one.stored_at for key, one in kept.items() if not key.startswith(PREFIX) and is_pause(one.value)}
    return ControlState(tuple(sorted(_current(heard), key=lambda worker: worker.last.key)), paused)


def replaced_by(key: str, kept: Mapping[str, StoredControl], now: datetime) -> list[str]:
    """Return the keys of ended workers that the worker of a key has replaced.

    Args:
        kept: the control topic's last record of every key.
        now: from a clock that agrees with the brokers' to a few seconds.
    """
    own = _heartbeat(kept[key].value) if key in kept else None
    if own is None:
        return []
    current = {worker.last.key for worker in parse_control(kept, now).of(own.model)}
    of_model = {one: beat.model == own.model for one in kept if (beat := _heartbeat(kept[one].value)) is not None}
    return [one for one, is_of_model in of_model.items() if is_of_model and one not in current]


def restarting_before(own: Heartbeat, kept: Mapping[str, StoredControl]) -> list[Heartbeat]:
    """Return the last heartbeats of this model's workers on this host that ended for a restart, the latest last."""
    found = filter(None, (_heartbeat(one.value) for key, one in kept.items() if key.startswith(PREFIX)))
    ended = (
        last for last in found if (last.model, last.host, last.state) == (own.model, own.host, WorkerState.RESTARTING)
    )
    return sorted(ended, key=lambda last: last.since)


def _current(workers: Iterable[KnownWorker]) -> list[KnownWorker]:
    """Leave out ended workers that were replaced by a later one, even if that one has ended too."""
    found = list(workers)
    return [
        worker
        for worker in found
        if worker.is_running
        or not any(
            other is not worker and other.last.model == worker.last.model and other.last.started_at > worker.heard_at
            for other in found
        )
    ]


def _heartbeat(value: bytes) -> Heartbeat | None:
    try:
        return heartbeat_from(value)
    except msgspec.MsgspecError:
        # A heartbeat of another version of this program, which cannot be interpreted.
        return None
