"""Tests that the Kafka client's own messages are logged briefly."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest
import structlog
from confluent_kafka import Consumer, TopicPartition
from structlog.typing import EventDict

from connectors.kafka import KafkaSettings
from stack.paths import LOOPBACK, free_ports

WITHIN_S = 60.0
ATTEMPTS = 4
"""Refused connections of which the clients write a line each, beside the one that is logged."""


def test_clients_without_a_broker_log_it_once_with_a_remedy(capfd: pytest.CaptureFixture[str]) -> None:
    """Check that one message replaces the client's own twenty lines a second."""
    servers = f"{LOOPBACK}:{free_ports(1)[0]}"
    kafka = KafkaSettings(bootstrap_servers=servers)
    consumers = [Consumer(kafka.with_client(group_id="words")) for _ in range(2)]
    with structlog.testing.capture_logs() as lines:
        for consumer in consumers:
            consumer.assign([TopicPartition("orders", 0, 0)])
        deadline = time.monotonic() + WITHIN_S
        while not (_is_said(lines) and _refusals(lines) >= ATTEMPTS) and time.monotonic() < deadline:
            for consumer in consumers:
                consumer.poll(0.05)
        for consumer in consumers:
            consumer.close()
    (said,) = [line for line in lines if line["log_level"] != "debug"]
    assert (said["event"], said["log_level"], said["bootstrap_servers"]) == ("kafka unreachable", "warning", servers)
    assert "down" in said["reason"]
    assert "Start the brokers" in said["remedy"]
    assert _refusals(lines) >= ATTEMPTS
    assert capfd.readouterr() == ("", "")


def _is_said(lines: Sequence[EventDict]) -> bool:
    return any(line["event"] == "kafka unreachable" for line in lines)


def _refusals(lines: Sequence[EventDict]) -> int:
    return sum("Connection refused" in line["message"] for line in lines if line["log_level"] == "debug")
