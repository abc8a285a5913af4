"""Tests of faults of readmodels: the report that an operator is asked to send is safe to send."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from pipeline.crash_report import FAULT_REMEDY
from pipeline.health.checks import _carry_out
from pipeline.health.problem import Problem
from pipeline.runtime.heartbeat import reason_for
from sinks.batch import Batch
from sinks.duckdb.remote.client import RemoteDuckdbStore
from sinks.duckdb.remote.server import WriterServer
from sinks.duckdb.sink import DuckdbSink
from sinks.duckdb.store import DuckdbStore
from sinks.errors import SinkError
from sinks.generation import GenerationMetadata
from sinks.shape import RowShape


def fail(*_: object) -> Iterator[Problem]:
    """Fail as a fault does, with a value of a row in the message."""
    raise KeyError("secret")


def test_the_message_about_a_fault_can_be_sent_for_it_names_its_place_and_no_value() -> None:
    [problem] = _carry_out("slot", fail)
    with pytest.raises(KeyError) as fault:
        fail()
    reason = reason_for(fault.value)
    for message, remedy in ((problem.problem, problem.remedy), (reason.message, reason.remedy)):
        assert remedy == FAULT_REMEDY
        assert "unexpected KeyError" in message
        assert "secret" not in message
    assert "pipeline/health/checks.py:" in problem.problem


def test_the_message_about_a_fault_of_duckdbs_writer_can_be_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shape = RowShape("orders", ("id",), {"id": "bigint"})
    with closing(DuckdbStore(tmp_path, [shape])) as store:
        store.create(1, GenerationMetadata(shapes=(shape,)))
        monkeypatch.setattr(DuckdbSink, "write", fail)
        with WriterServer(tmp_path, store).serve_in_background(), pytest.raises(SinkError) as fault:
            RemoteDuckdbStore(tmp_path).sink(1).write(Batch())
    assert fault.value.remedy == SinkError.remedy
    assert "KeyError at test_faults.py:" in str(fault.value)
    assert "secret" not in str(fault.value)
