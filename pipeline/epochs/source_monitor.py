"""Monitor of PostgreSQL, the slot and the connector while workers run. Detects that the log's history has changed."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection
from contextlib import closing
from dataclasses import replace

import psycopg
import structlog

from connectors.debezium import ConnectorConfiguration
from connectors.errors import DependencyUnavailable, SourceContractViolation
from connectors.kafka_connect import ConnectClient, ConnectError, ConnectorNotReady
from pipeline.epochs.fingerprint import Fingerprint, diff, of_source
from pipeline.epochs.old_rows import OldRows
from pipeline.ingest.log_mismatch import EpochMismatch, LogMismatch, MismatchReason
from pipeline.postgres.database import Connection, SourceError, SourceUnavailable, connect
from pipeline.postgres.preconditions import SourceNotReady, reading_findings
from pipeline.postgres.replication import read_slot
from pipeline.postgres.server_state import read_server_state
from pipeline.postgres.slot_gap import connector_lsn, find_gap
from pipeline.postgres.source_check import SourceCheck, as_seen, check_source, remembered, time_of
from pipeline.postgres.source_history import Gap, SourceHistory, SourceRecord
from pipeline.postgres.source_identity import rewritten
from pipeline.setup.source import Deployment

log = structlog.get_logger()

CHECK_INTERVAL_S = 5.0
RECORD_INTERVAL_S = 60.0
"""Interval at which an unchanged source is recorded. After a pause of the workers, a change is reported as made since
then.
"""


class SourceMonitor:
    """Monitor that checks the source every few seconds, on a thread of its own.

    Each check looks for problems that make the log incomplete, and records them (`pipeline.postgres.source_history`).
    Kafka Connect is asked for the connector's position only if the slot's reader has changed or is missing: while one
    process reads the slot, no other can advance it. If a server does not answer, the next check asks again. Workers
    continue with the existing log, and the operator is warned that no new changes arrive.

    Args:
        known: the fingerprint of the log that is consumed; empty if it is not to be compared.
        old_rows: check of the log's old rows; None leaves the check of rewritten tables to another monitor.
    """

    def __init__(self, deployment: Deployment, known: Fingerprint, old_rows: OldRows | None = None) -> None:
        self._deployment = deployment
        self._old_rows = old_rows
        self._known = known
        self._reader: int | None = None
        self._read_to: int | None = None
        self._history = SourceHistory(deployment.kafka, deployment.connector.name)
        self._known_source: SourceRecord | None = None
        self._last_moment = ""
        self._noted_at = 0.0
        self._failure: SourceContractViolation | None = None
        self._flow = _StallLog()

    def check(self) -> list[LogMismatch]:
        """Check now, as far as the servers answer.

        Raises:
            ConfigurationRefused: the connector runs under settings that are refused.
            SourceNotReady: a problem would keep a snapshot from reading rows.
        """
        try:
            with closing(connect(self._deployment.source.url)) as connection:
                return self._look(connection)
        except (SourceUnavailable, ConnectError, DependencyUnavailable, psycopg.Error) as error:
            self._flow.is_held_up(str(error), getattr(error, "remedy", SourceError.remedy))
            return []

    def check_or_raise(self) -> None:
        """Check now.

        Raises:
            EpochMismatch: with all mismatches.
            ConfigurationRefused, SourceNotReady: see `check`.
        """
        if seen := self.check():
            raise EpochMismatch(seen)

    def start(self, stop: threading.Event) -> None:
        """Start checking. Ends when `stop` is set, or at a failure, which `raise_if_failed` raises."""
        threading.Thread(target=self._follow, args=(stop,), name="source watch", daemon=True).start()

    def raise_if_failed(self) -> None:
        """Raise the failure found since the start.

        Raises:
            SourceContractViolation: see `check_or_raise`.
        """
        if self._failure is not None:
            raise self._failure

    def _follow(self, stop: threading.Event) -> None:
        while not stop.wait(CHECK_INTERVAL_S) and self._failure is None:
            try:
                self.check_or_raise()
            except SourceContractViolation as broken:
                self._failure = broken

    def _look(self, connection: Connection) -> list[LogMismatch]:
        name = self._deployment.connector.slot
        # Read the slot before the connector's position, and PostgreSQL's position after it: a running connector
        # advances meanwhile.
        slot, facts = read_slot(connection, name), read_server_state(connection, name)
        seen = list(diff(self._known, of_source(facts.system_identifier)))
        if facts.reader is None or facts.reader != self._reader:
            self._ask_connect()
            self._reader = facts.reader
            seen += filter(None, [find_gap(name, slot, self._read_to)])
            facts = read_server_state(connection, name)
        if self._read_to is not None and facts.current_lsn < self._read_to:
            sentence = f"PostgreSQL writes at LSN {facts.current_lsn}, and the connector had read to {self._read_to}"
            seen.append(LogMismatch(MismatchReason.LSN_BACK, sentence))
        try:
            seen += self._look_at_source(connection)
        except DependencyUnavailable:
            if not seen:
                raise
        if facts.reader is None:
            self._flow.is_held_up(f"no connector reads slot {name}", ConnectorNotReady.remedy)
        else:
            self._flow.goes_on()
        return seen

    def _look_at_source(self, connection: Connection) -> list[LogMismatch]:
        capture = self._deployment.capture
        look = check_source(connection, capture)
        if self._known_source is None:
            self._known_source = self._history.read()
        known = self._known_source
        if found := remembered(look, known, capture, self._history, self._last_moment):
            return as_seen(found)
        if wrong := reading_findings(look.source, capture):
            raise SourceNotReady(wrong)
        if tables := rewritten(known.identity or {}, look.identity):
            if self._old_rows is None:
                return []
            if lost := self._deletions_without_old_row(self._old_rows, connection, look, tables):
                return as_seen(lost)
        is_due = time.monotonic() > self._noted_at + RECORD_INTERVAL_S
        if known.is_kept and (is_due or known.identity != look.identity):
            self._history.record_complete(look.identity, look.moment)
            self._known_source = replace(known, identity=look.identity, seen=look.moment)
            self._noted_at = time.monotonic()
        self._last_moment = look.moment
        return []

    def _deletions_without_old_row(
        self, old_rows: OldRows, connection: Connection, look: SourceCheck, tables: Collection[str]
    ) -> list[Gap]:
        since = self._last_moment or (self._known_source or SourceRecord()).seen
        problems = old_rows.problems(connection, look.source, tables, time_of(since))
        lost = [Gap(problem, f"since a moment between {since} and {look.moment}") for problem in problems]
        for one in lost:
            self._history.record_gap(one)
        return lost

    def _ask_connect(self) -> None:
        name = self._deployment.connector.name
        with closing(ConnectClient(self._deployment.connect_url)) as client:
            self._read_to = connector_lsn(client.offsets(name))
            running = ConnectorConfiguration(name, client.config(name))
        running.validate(is_double_accepted=self._deployment.is_double_accepted)


class _StallLog:
    """Logger of stalls. Logs when changes stop arriving and when they resume. A stall that ended before the next check
    is not logged.
    """

    def __init__(self) -> None:
        self._looks = 0

    def is_held_up(self, reason: str, remedy: str) -> None:
        self._looks += 1
        if self._looks == 2:
            log.warning("replication stalled", reason=reason, remedy=remedy)

    def goes_on(self) -> None:
        if self._looks > 1:
            log.info("replication resumed")
        self._looks = 0
