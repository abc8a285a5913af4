"""Tests that the Kafka client's own messages are logged briefly."""

from __future__ import annotations

import time

import pytest
import structlog
from confluent_kafka import Consumer, TopicPartition

from connectors.kafka import KafkaSettings
from stack.paths import LOOPBACK, free_ports


def test_clients_without_a_broker_say_so_once_and_how_to_go_on(capfd: pytest.CaptureFixture[str]) -> None:
    """Check that one message replaces the client's own twenty lines a second."""
    servers = f"{LOOPBACK}:{free_ports(1)[0]}"
    kafka = KafkaSettings(bootstrap_servers=servers)
    consumers = [Consumer(kafka.with_client(group_id="words")) for _ in range(2)]
    with structlog.testing.capture_logs() as lines:
        for consumer in consumers:
            consumer.assign([TopicPartition("orders", 0, 0)])
        until = time.monotonic() + 1.0
        while time.monotonic() < until:
            for consumer in consumers:
                consumer.poll(0.05)
        for consumer in consumers:
            consumer.close()
    (said,) = [line for line in lines if line["log_level"] != "debug"]
    assert (said["event"], said["log_level"], said["bootstrap_servers"]) == ("kafka unreachable", "warning", servers)
    assert "down" in said["reason"]
    assert "Start the brokers" in said["remedy"]
    assert any("Connection refused" in line["words"] for line in lines if line["log_level"] == "debug")
    assert capfd.readouterr() == ("", "")
