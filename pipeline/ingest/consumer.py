"""Kafka consumer settings of the source, and the meaning of the client's errors."""

from __future__ import annotations

from typing import Any

import structlog
from confluent_kafka import KafkaError

from connectors.errors import DependencyUnavailable, SourceContractViolation
from connectors.kafka import KafkaSettings

log = structlog.get_logger()

BACKOFF_MS = 5
"""Delay before the client fetches again after its queue was full. Its default is one second, during which a worker that
has emptied the queue is idle.
"""
HEARTBEAT_S = 0.5
"""Heartbeat interval. A member learns from heartbeat responses that others join or leave, twice in a cooperative
rebalance.
"""


class OffsetOutOfRange(SourceContractViolation):
    """The log no longer contains the offset at which a read model stopped."""

    remedy = (
        "Records were deleted before they were read. `readmodels epoch open --resnapshot --execute` starts a new epoch "
        "with a snapshot of PostgreSQL, which is always correct. If no needed record was deleted, `readmodels epoch "
        "open --continue --execute` resumes at the earliest offset. Then raise the retention of the topics: "
        "`retention.ms=-1` and `retention.bytes=-1`."
    )


class ConsumerFailed(DependencyUnavailable):
    """The consumer failed with an error that it cannot recover from."""

    remedy = (
        "With kafka-acls, allow the user in `kafka.client` to read the topics and the consumer groups of the models, "
        "or correct its name and password there. The worker retries automatically."
    )


_PASSING = {
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._TRANSPORT,
    KafkaError._TIMED_OUT,
    KafkaError._RESOLVE,
    KafkaError._MAX_POLL_EXCEEDED,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
}
"""Errors from which the client recovers by itself, although it does not call them retriable."""


def classify_error(error: KafkaError, place: str) -> Exception | None:
    """Map a polled error to an exception. Return None if the client recovers by itself."""
    if error.code() in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE):
        return OffsetOutOfRange(f"{place} no longer has the offset at which the store resumes")
    if error.fatal() or not (error.retriable() or error.code() in _PASSING):
        return ConsumerFailed(f"Kafka answered {error.name()} for {place}")
    log.info("kafka error, client retries", reason=error.name())
    return None


def consumer_settings(
    kafka: KafkaSettings, group: str, session_timeout_s: float, max_poll_interval_s: float
) -> dict[str, Any]:
    """Build consumer settings: manual offsets, no silent reset, committed records only, partition ends reported."""
    return kafka.with_client(
        group_id=group,
        partition_assignment_strategy="cooperative-sticky",
        enable_auto_commit=False,
        enable_auto_offset_store=False,
        auto_offset_reset="error",
        isolation_level="read_committed",
        enable_partition_eof=True,
        session_timeout_ms=int(session_timeout_s * 1000),
        heartbeat_interval_ms=int(min(session_timeout_s / 4, HEARTBEAT_S) * 1000),
        max_poll_interval_ms=int(max_poll_interval_s * 1000),
        allow_auto_create_topics=False,
        fetch_queue_backoff_ms=BACKOFF_MS,
    )
