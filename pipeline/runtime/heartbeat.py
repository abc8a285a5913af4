"""Heartbeat: the record in the control topic by which a worker process says what it is doing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

import msgspec

from pipeline.crash_report import FAULT_REMEDY, describe_error

HEARTBEAT_INTERVAL_S = 3.0
MISSING_AFTER_S = 20.0
"""A worker that was not heard for longer is missing: six heartbeats were lost."""

PREFIX = "worker/"


class WorkerState(StrEnum):
    """State of a worker process.

    Attributes:
        STARTING: it opens its store and joins its consumer group.
        STANDBY: it waits for another process to give up the store's only writer's place.
        WORKING: it applies changes as they come.
        WAITING: it retries something; the heartbeat's reason says what.
        PAUSED: it follows a request to pause.
        RESTARTING: it ended with an error that a new process is free of; the heartbeat's reason says which.
        STOPPED: it ended with an error that only an operator can mend; the heartbeat's reason says which.
    """

    STARTING = "starting"
    STANDBY = "standby"
    WORKING = "working"
    WAITING = "waiting"
    PAUSED = "paused"
    RESTARTING = "restarting"
    STOPPED = "stopped"


class StateReason(msgspec.Struct, frozen=True, omit_defaults=True):
    """Error that keeps a worker waiting, or that it stopped at."""

    type: str
    message: str
    remedy: str
    action: str = ""


class Heartbeat(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One worker process at one moment.

    Args:
        since: when it came into this state.
        generations: those that it feeds.
        applied_at: when it last wrote a batch.
        reason: why it waits or ended.
        stopped_generations: those that it feeds no more, while it goes on with the others.
        restarted_after: why the process ended in whose place it was started.
    """

    model: str
    host: str
    pid: int
    state: WorkerState
    since: datetime
    started_at: datetime
    generations: tuple[int, ...] = ()
    applied_at: datetime | None = None
    reason: StateReason | None = None
    stopped_generations: Mapping[int, StateReason] = {}
    restarted_after: StateReason | None = None

    @property
    def key(self) -> str:
        """The key of the record; a process that starts again on another host or with another pid has another one."""
        return f"{PREFIX}{self.model}/{self.host}/{self.pid}"

    def to_json(self) -> bytes:
        """Encode it as the value of a record."""
        return msgspec.json.encode(self)


def heartbeat_from(value: bytes) -> Heartbeat:
    """Decode the value of a record.

    Raises:
        msgspec.MsgspecError: it is not a heartbeat.
    """
    return msgspec.json.decode(value, type=Heartbeat)


def reason_for(error: BaseException, action: str = "") -> StateReason:
    """Describe an error by its type, its words without row values, and its remedy."""
    remedy = getattr(error, "remedy", None) or FAULT_REMEDY
    return StateReason(type(error).__name__, describe_error(error), remedy, action)
