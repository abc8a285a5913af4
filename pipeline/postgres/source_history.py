"""History of the source: its identity at the last look, and the gaps in its log. It is kept in the control topic.

A gap stays there until an epoch with a snapshot of its own begins: to set PostgreSQL right brings no change back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256

import orjson

from connectors.kafka import KafkaSettings
from pipeline.ingest.control_topic import ControlTopicMissing, read_control, store_control
from pipeline.postgres.source_identity import Identity


@dataclass(frozen=True)
class Gap:
    """A time in which changes did not come into the log, or came wrong.

    Args:
        problem: what was found.
        since: between which two looks it began.
        remedy: what ends it, where it lasts.
    """

    problem: str
    since: str
    remedy: str = ""


@dataclass(frozen=True)
class SourceRecord:
    """What is known of the source.

    Args:
        identity: at the last look at which nothing was wrong; None before the first one.
        seen: when that was.
        gaps: since the epoch began, by their problems.
        is_kept: whether it can be added to; it cannot before the control topic is there.
    """

    identity: Identity | None = None
    seen: str = ""
    gaps: Mapping[str, Gap] = field(default_factory=dict)
    is_kept: bool = True


class SourceHistory:
    """The history of one connector's source."""

    def __init__(self, kafka: KafkaSettings, connector: str) -> None:
        self._kafka = kafka
        self._prefix = f"source/{connector}/"

    def read(self) -> SourceRecord:
        """Read what is known.

        Raises:
            KafkaUnavailable: the brokers did not answer.
        """
        try:
            kept = self._kept()
        except ControlTopicMissing:
            return SourceRecord(is_kept=False)
        last = orjson.loads(kept.pop("identity", b"{}"))
        gaps = [Gap(**orjson.loads(value)) for value in kept.values()]
        return SourceRecord(last.get("identity"), last.get("seen", ""), {gap.problem: gap for gap in gaps})

    def record_complete(self, identity: Identity, seen: str) -> None:
        """Keep an identity at which nothing was wrong."""
        self._write({"identity": orjson.dumps({"identity": identity, "seen": seen})})

    def record_gap(self, gap: Gap) -> None:
        """Keep a gap."""
        digest = sha256(gap.problem.encode()).hexdigest()[:16]
        self._write({f"gap/{digest}": orjson.dumps({"problem": gap.problem, "since": gap.since})})

    def is_known(self) -> bool:
        """Whether anything is kept."""
        try:
            return bool(self._kept())
        except ControlTopicMissing:
            return False

    def forget(self) -> None:
        """Forget everything: a new history begins, or none."""
        try:
            self._write(dict.fromkeys(self._kept()))
        except ControlTopicMissing:
            return

    def _kept(self) -> dict[str, bytes]:
        found = read_control(self._kafka)
        return {key.removeprefix(self._prefix): one.value for key, one in found.items() if key.startswith(self._prefix)}

    def _write(self, records: Mapping[str, bytes | None]) -> None:
        store_control(self._kafka, {f"{self._prefix}{name}": value for name, value in records.items()})
