"""Heartbeat: the record in the control topic with the state of a worker process."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

import msgspec

from pipeline.crash_report import FAULT_REMEDY, describe_error

HEARTBEAT_INTERVAL_S = 3.0
MISSING_AFTER_S = 20.0
"""Age of the last heartbeat after which a worker is missing: six heartbeats were lost."""

PREFIX = "worker/"


class WorkerState(StrEnum):
    """State of a worker process.

    Attributes:
        STARTING: it opens its store and joins its consumer group.
        STANDBY: it waits for another process to release the store's writer lock.
        WORKING: it applies changes as they arrive.
        WAITING: it retries an action, which the heartbeat's reason names.
        PAUSED: it follows a request to pause.
        RESTARTING: it ended with an error that a new process does not have; the heartbeat's reason names it.
        STOPPED: it ended with an error that requires an operator; the heartbeat's reason names it.
    """

    STARTING = "starting"
    STANDBY = "standby"
    WORKING = "working"
    WAITING = "waiting"
    PAUSED = "paused"
    RESTARTING = "restarting"
    STOPPED = "stopped"


class StateReason(msgspec.Struct, frozen=True, omit_defaults=True):
    """Error because of which a worker waits, or that stopped it."""

    type: str
    message: str
    remedy: str
    action: str = ""


class Heartbeat(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """State of one worker process at one moment.

    Args:
        since: time at which it entered this state.
        generations: the generations that it writes to.
        applied_at: time of its last written batch.
        reason: why it waits or ended.
        stopped_generations: generations that it no longer writes to, while it continues with the others.
        restarted_after: why the process that it replaced ended.
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
        """Key of the record. A process restarted on another host or with another pid has another key."""
        return f"{PREFIX}{self.model}/{self.host}/{self.pid}"

    def to_json(self) -> bytes:
        """Encode the heartbeat as the value of a record."""
        return msgspec.json.encode(self)


def heartbeat_from(value: bytes) -> Heartbeat:
    """Decode the value of a record.

    Raises:
        msgspec.MsgspecError: the value is not a heartbeat.
    """
    return msgspec.json.decode(value, type=Heartbeat)


def reason_for(error: BaseException, action: str = "") -> StateReason:
    """Describe an error by its type, its message without row values, and its remedy."""
    remedy = getattr(error, "remedy", None) or FAULT_REMEDY
    return StateReason(type(error).__name__, describe_error(error), remedy, action)
