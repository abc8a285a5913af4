"""Tests of the required topics, and of the report of a topic that differs."""

from dataclasses import replace

import pytest

from connectors.debezium import default_configuration
from connectors.topics import CleanupPolicy, Topic, TopicSettings, TopicSpec, diff, topic_specs

WANTED = TopicSpec("cdc.public.orders", 6, None, {"cleanup.policy": "delete", "retention.ms": "-1"})
AS_WANTED = Topic("cdc.public.orders", "id", 6, 1, {"cleanup.policy": "delete", "retention.ms": "-1", "other": "x"})


@pytest.mark.parametrize(
    ("peak_consumers", "partitions"), [(1, 6), (3, 6), (4, 8), (12, 24), (50, 100), (51, 100), (1000, 100)]
)
def test_there_are_two_partitions_to_each_consumer_within_bounds(peak_consumers: int, partitions: int) -> None:
    assert TopicSettings(peak_consumers=peak_consumers).partitions == partitions


def test_nothing_expires_by_default() -> None:
    config = TopicSettings().kafka_config
    assert (config["cleanup.policy"], config["retention.ms"], config["retention.bytes"]) == ("delete", "-1", "-1")


def test_retention_replicas_and_policy_can_be_chosen() -> None:
    settings = TopicSettings(
        replication_factor=3, min_insync_replicas=2, cleanup_policy=CleanupPolicy.COMPACT, retention_ms=86_400_000
    )
    tables, services = [
        [topic for topic in topic_specs(default_configuration(), settings) if (topic.partitions > 1) is is_table]
        for is_table in (True, False)
    ]
    for topic in tables:
        assert topic.replication_factor == 3
        assert topic.config["min.insync.replicas"] == "2"
        assert topic.config["cleanup.policy"] == "compact"
        assert topic.config["retention.ms"] == "86400000"
    for topic in services:
        assert topic.config["cleanup.policy"] == "delete"


def test_only_the_topics_of_tables_have_several_partitions() -> None:
    configuration = default_configuration()
    topics = {topic.name: topic for topic in topic_specs(configuration, TopicSettings())}
    assert [topics[name].partitions for name in configuration.table_topics] == [6, 6]
    assert [topics[name].partitions for name in configuration.service_topics] == [1, 1, 1, 1]


@pytest.mark.parametrize("wrong", [{"peak_consumers": 0}, {"retention_ms": -2}, {"retention_bytes": -5}])
def test_impossible_settings_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="zero"):
        replace(TopicSettings(), **wrong)  # type: ignore[arg-type]


def test_a_topic_as_wanted_has_no_differences() -> None:
    assert diff(WANTED, AS_WANTED) == []
    assert diff(replace(WANTED, replication_factor=1), AS_WANTED) == []


def test_every_difference_of_a_topic_is_named() -> None:
    wanted = replace(WANTED, partitions=8, replication_factor=3)
    topic = replace(AS_WANTED, config={"cleanup.policy": "compact", "retention.ms": "-1"})
    assert diff(wanted, topic) == [
        "cdc.public.orders has 6 partitions, not 8",
        "cdc.public.orders has 1 replicas, not 3",
        "cdc.public.orders has cleanup.policy=compact, not delete",
    ]
