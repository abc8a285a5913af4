"""Tests of the summary of a connector's status."""

import socket

import pytest

from connectors.kafka_connect import ConnectClient, ConnectUnavailable
from connectors.kafka_connect_status import ConnectorStatus, TaskStatus, summarize_trace
from tests.support.http_stub import answering

TRACE = """org.apache.kafka.connect.errors.ConnectException: An exception occurred in the change event producer.
\tat io.debezium.pipeline.ErrorHandler.setProducerThrowable(ErrorHandler.java:67)
Caused by: io.debezium.DebeziumException: middle
\tat io.debezium.Something(Something.java:1)
Caused by: org.postgresql.util.PSQLException: FATAL: password authentication failed for user "debezium"
\t... 12 more
"""


def status(state: str, *task_states: str) -> ConnectorStatus:
    tasks = tuple(
        TaskStatus(number, task, TRACE if task == "FAILED" else "") for number, task in enumerate(task_states)
    )
    return ConnectorStatus("orders", state, "", tasks)


def test_a_connector_runs_only_when_its_tasks_run() -> None:
    assert status("RUNNING", "RUNNING").is_running
    assert not status("RUNNING").is_running
    assert not status("RUNNING", "UNASSIGNED").is_running


def test_a_connector_with_a_failed_task_has_failed_although_its_state_is_running() -> None:
    assert status("RUNNING", "FAILED").has_failed
    assert status("FAILED").has_failed
    assert not status("PAUSED", "PAUSED").has_failed


def test_a_connector_is_stopped_when_no_task_is_left() -> None:
    assert status("STOPPED").is_stopped
    assert not status("STOPPED", "RUNNING").is_stopped


def test_a_failure_is_described_by_its_first_line_and_its_innermost_cause() -> None:
    assert str(status("RUNNING", "FAILED")) == (
        "connector orders is RUNNING (task 0 FAILED); "
        "org.apache.kafka.connect.errors.ConnectException: An exception occurred in the change event producer.; "
        'Caused by: org.postgresql.util.PSQLException: FATAL: password authentication failed for user "debezium"'
    )


def test_a_trace_without_causes_is_described_by_its_first_line() -> None:
    assert summarize_trace("java.lang.Error: alone\n\tat x") == "java.lang.Error: alone"
    assert summarize_trace("") == ""


def test_a_connect_that_is_not_there_is_unavailable_and_its_credentials_stay_hidden() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        client = ConnectClient(f"http://operator:canary@127.0.0.1:{unused.getsockname()[1]}")
        with pytest.raises(ConnectUnavailable) as unavailable:
            client.names()
    assert "127.0.0.1" in str(unavailable.value)
    assert "canary" not in str(unavailable.value)


def test_an_answer_that_is_cut_within_its_headers_is_no_answer() -> None:
    cut = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
    with answering(cut) as url, pytest.raises(ConnectUnavailable, match="cut"):
        ConnectClient(url).status("orders")
