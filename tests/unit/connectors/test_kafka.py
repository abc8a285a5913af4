"""Tests of requests to Kafka while a partition has no leader."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError, KafkaException

from connectors import kafka
from connectors.kafka import retry_while_electing


def answers(*codes: int) -> list[BaseException]:
    return [KafkaException(KafkaError(code)) for code in codes]


def test_a_request_is_repeated_until_the_partition_has_a_leader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka, "_ELECTED_AFTER_S", 0)
    failures = answers(KafkaError.LEADER_NOT_AVAILABLE, KafkaError.NOT_LEADER_FOR_PARTITION)

    def request() -> str:
        if failures:
            raise failures.pop()
        return "answered"

    assert retry_while_electing(request) == "answered"
    assert not failures


def test_a_request_that_fails_for_another_reason_is_not_repeated() -> None:
    failures = answers(KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.TOPIC_AUTHORIZATION_FAILED)

    def request() -> str:
        raise failures.pop()

    with pytest.raises(KafkaException, match="TOPIC_AUTHORIZATION_FAILED"):
        retry_while_electing(request)
    assert len(failures) == 1


def test_a_partition_that_gets_no_leader_ends_the_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka, "REQUEST_TIMEOUT_S", -1)

    def request() -> str:
        raise KafkaException(KafkaError(KafkaError.LEADER_NOT_AVAILABLE))

    with pytest.raises(KafkaException, match="LEADER_NOT_AVAILABLE"):
        retry_while_electing(request)
