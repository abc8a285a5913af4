"""History of the source, stored in the control topic: its identity at the last check, and the gaps in its log.

A gap is kept until an epoch with its own snapshot begins, because correcting PostgreSQL brings no change back.
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
    """Period in which changes did not reach the log, or reached it with wrong values.

    Args:
        problem: the problem that was found.
        since: the two checks between which the gap began.
        remedy: what ends the gap, if it lasts.
    """

    problem: str
    since: str
    remedy: str = ""


@dataclass(frozen=True)
class SourceRecord:
    """Recorded facts about the source.

    Args:
        identity: identity at the last check without problems; None before the first one.
        seen: the moment of that check.
        gaps: gaps since the epoch began, by their problems.
        is_kept: whether the history can be written; false until the control topic exists.
    """

    identity: Identity | None = None
    seen: str = ""
    gaps: Mapping[str, Gap] = field(default_factory=dict)
    is_kept: bool = True


class SourceHistory:
    """History of one connector's source."""

    def __init__(self, kafka: KafkaSettings, connector: str) -> None:
        self._kafka = kafka
        self._prefix = f"source/{connector}/"

    def read(self) -> SourceRecord:
        """Read the recorded facts.

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
        """Record an identity at which no problem was found."""
        self._write({"identity": orjson.dumps({"identity": identity, "seen": seen})})

    def record_gap(self, gap: Gap) -> None:
        """Record a gap."""
        digest = sha256(gap.problem.encode()).hexdigest()[:16]
        self._write({f"gap/{digest}": orjson.dumps({"problem": gap.problem, "since": gap.since})})

    def is_known(self) -> bool:
        """Return whether anything is recorded."""
        try:
            return bool(self._kept())
        except ControlTopicMissing:
            return False

    def forget(self) -> None:
        """Delete the history."""
        try:
            self._write(dict.fromkeys(self._kept()))
        except ControlTopicMissing:
            return

    def _kept(self) -> dict[str, bytes]:
        found = read_control(self._kafka)
        return {key.removeprefix(self._prefix): one.value for key, one in found.items() if key.startswith(self._prefix)}

    def _write(self, records: Mapping[str, bytes | None]) -> None:
        store_control(self._kafka, {f"{self._prefix}{name}": value for name, value in records.items()})
