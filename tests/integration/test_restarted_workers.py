"""Tests of a worker whose memory allocation fails: it exits, is restarted, and `status` gives the reason."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest
from rich.console import Console

from connectors.kafka import KafkaSettings
from connectors.topics import create_missing
from pipeline.cli.status_view import _restarts
from pipeline.ingest.control_topic import wanted_topic
from pipeline.runtime.heartbeat import WorkerState
from pipeline.runtime.supervisor import Supervisor
from pipeline.runtime.workers import KnownWorker, read_workers
from pipeline.status import ModelStatus
from stack.endpoints import Endpoints
from tests.support.waiting import wait_for

MODEL = "duckdb"
WITHIN_S = 120.0
WORKER = """
import sys, threading
from pathlib import Path
import pyarrow
from connectors.kafka import KafkaSettings
from pipeline.runtime.activity import ProcessActivity
from pipeline.runtime.process import EXIT_TEMPFAIL, stop_with_parent
from pipeline.memory_limit import MemoryLimit, MemoryExhausted, data_bytes, named_exhaustion
from pipeline.runtime.heartbeat_thread import HeartbeatThread

first, until = Path(sys.argv[2]), threading.Event()
stop_with_parent(until)
try:
    with HeartbeatThread(KafkaSettings(bootstrap_servers=sys.argv[1]), ProcessActivity("duckdb")), named_exhaustion():
        if not first.exists():
            first.touch()
            MemoryLimit(data_bytes() + 2**27).apply()
            pyarrow.allocate_buffer(2**30)
        until.wait()
except MemoryExhausted:
    sys.exit(EXIT_TEMPFAIL)
"""


@pytest.fixture
def kafka(endpoints: Endpoints) -> KafkaSettings:
    """Return brokers that have the control topic."""
    settings = KafkaSettings(bootstrap_servers=endpoints.kafka)
    create_missing(settings.admin(), [wanted_topic(1)])
    return settings


def test_a_worker_that_is_refused_memory_is_restarted_and_status_shows_the_reason(
    kafka: KafkaSettings, tmp_path: Path
) -> None:
    def command(_: str) -> list[str]:
        return [sys.executable, "-c", WORKER, kafka.bootstrap_servers, str(tmp_path / "first")]

    def restarted() -> KnownWorker | None:
        found = (worker for worker in read_workers(kafka).of(MODEL) if worker.last.restarted_after)
        return next(found, None)

    supervisor, until = Supervisor(command, tmp_path / "log", grace_s=20.0), threading.Event()
    running = threading.Thread(target=supervisor.run, args=([MODEL], until))
    running.start()
    try:
        worker = wait_for(restarted, WITHIN_S, (tmp_path / "log").read_text)
    finally:
        until.set()
        running.join()
    reason = worker.last.restarted_after
    assert reason is not None
    assert "the kernel refused memory" in reason.message
    assert "by `duckdb.memory_headroom`" in reason.message
    assert worker.last.state is WorkerState.STARTING
    assert not [one for one in read_workers(kafka).of(MODEL) if one.last.state is WorkerState.RESTARTING]
    shown = Console(width=500, record=True)
    shown.print(*_restarts([ModelStatus(model=MODEL, workers=(worker,))]))
    assert "after MemoryExhausted: the kernel refused memory" in shown.export_text()
