"""Who feeds a generation: the members of its consumer group."""

from __future__ import annotations

import time

import structlog
from confluent_kafka import KafkaError, KafkaException

from connectors.kafka import REQUEST_TIMEOUT_S, KafkaSettings, KafkaUnavailable, reason_of

log = structlog.get_logger()

LEAVES_WITHIN_S = 5.0
"""How long the last members of a group may take to leave it."""


def member_count(kafka: KafkaSettings, group: str) -> int:
    """How many processes are in a group; zero where there is none of that name.

    Raises:
        KafkaUnavailable: the brokers did not answer.
    """
    # Held by name: the answer of an admin client that is collected never comes.
    admin = kafka.admin()
    try:
        described = admin.describe_consumer_groups([group], request_timeout=REQUEST_TIMEOUT_S)[group].result()
    except KafkaException as error:
        raise KafkaUnavailable(f"cannot read the members of group {group}: {reason_of(error)}") from error
    return len(described.members)


def forget_group(kafka: KafkaSettings, group: str) -> None:
    """Remove a group that nobody needs, as soon as its members have left; the brokers forget others by themselves."""
    admin = kafka.admin()
    deadline = time.monotonic() + LEAVES_WITHIN_S
    while True:
        try:
            admin.delete_consumer_groups([group], request_timeout=REQUEST_TIMEOUT_S)[group].result()
            return
        except KafkaException as error:
            if error.args[0].code() != KafkaError.NON_EMPTY_GROUP or time.monotonic() > deadline:
                log.debug("group not deleted", group=group, reason=error.args[0].name())
                return
        time.sleep(0.2)
