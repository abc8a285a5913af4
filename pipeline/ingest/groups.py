"""Consumer groups of the generations: members, committed topics, deletion."""

from __future__ import annotations

import re
import time

import structlog
from confluent_kafka import ConsumerGroupTopicPartitions, KafkaError, KafkaException

from connectors.errors import DependencyUnavailable
from connectors.kafka import REQUEST_TIMEOUT_S, KafkaSettings, KafkaUnavailable, error_text

log = structlog.get_logger()

LEAVES_WITHIN_S = 5.0
"""Time that the last members of a group may take to leave."""

EXPIRES_WITHIN_S = 20.0
"""Time that killed members may remain in a group: their session of 10 s has to expire."""


class GroupInUse(DependencyUnavailable):
    """A consumer group has members, so it cannot be removed."""

    remedy = "End the workers (`readmodels run`), then repeat the command."


def member_count(kafka: KafkaSettings, group: str) -> int:
    """Return the number of members of a group; zero if the group does not exist.

    Raises:
        KafkaUnavailable: the brokers did not answer.
    """
    # Keep a reference: a garbage-collected AdminClient never completes its futures.
    admin = kafka.admin()
    try:
        described = admin.describe_consumer_groups([group], request_timeout=REQUEST_TIMEOUT_S)[group].result()
    except KafkaException as error:
        raise KafkaUnavailable(f"cannot read the members of group {group}: {error_text(error)}") from error
    return len(described.members)


def delete_group(kafka: KafkaSettings, group: str) -> None:
    """Delete an unneeded group once its members have left. If they stay, skip it: the brokers expire empty groups."""
    admin = kafka.admin()
    deadline = time.monotonic() + LEAVES_WITHIN_S
    while True:
        try:
            admin.delete_consumer_groups([group], request_timeout=REQUEST_TIMEOUT_S)[group].result()
            return
        except KafkaException as error:
            if error.args[0].code() != KafkaError.NON_EMPTY_GROUP or time.monotonic() > deadline:
                log.debug("deleting group failed", group=group, reason=error.args[0].name())
                return
        time.sleep(0.2)


def committed_topics(kafka: KafkaSettings, name: re.Pattern[str]) -> dict[str, set[str]]:
    """Read the topics for which each group has committed offsets. Only groups whose whole name matches are read.

    Raises:
        KafkaUnavailable: the brokers did not answer.
    """
    admin = kafka.admin()
    try:
        listed = admin.list_consumer_groups(request_timeout=REQUEST_TIMEOUT_S).result().valid
        names = [one.group_id for one in listed if name.fullmatch(one.group_id)]
        found = {}
        for group in names:
            asked = ConsumerGroupTopicPartitions(group)
            answer = admin.list_consumer_group_offsets([asked], request_timeout=REQUEST_TIMEOUT_S)[group].result()
            found[group] = {place.topic for place in answer.topic_partitions or ()}
    except KafkaException as error:
        raise KafkaUnavailable(f"cannot read the consumer groups: {error_text(error)}") from error
    return found


def remove_group(kafka: KafkaSettings, group: str) -> None:
    """Delete a group once its last member has left or its session has expired.

    Raises:
        GroupInUse: a member stayed.
        KafkaUnavailable: the brokers did not answer, or refused.
    """
    admin = kafka.admin()
    deadline = time.monotonic() + EXPIRES_WITHIN_S
    while True:
        try:
            admin.delete_consumer_groups([group], request_timeout=REQUEST_TIMEOUT_S)[group].result()
        except KafkaException as error:
            code = error.args[0].code()
            if code == KafkaError.GROUP_ID_NOT_FOUND:
                return
            if code != KafkaError.NON_EMPTY_GROUP:
                raise KafkaUnavailable(f"cannot remove group {group}: {error_text(error)}") from error
            if time.monotonic() > deadline:
                raise GroupInUse(f"group {group} has members after {EXPIRES_WITHIN_S:g} s") from error
            time.sleep(0.2)
        else:
            return
