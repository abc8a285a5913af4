"""Topics of the connector: created before it starts, verified afterwards. Only tuning settings are ever altered."""

from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewTopic, ResourceType

from connectors.debezium import ConnectorConfiguration
from connectors.errors import SourceContractViolation
from connectors.kafka import REQUEST_TIMEOUT_S, KafkaUnavailable, error_text

FEWEST_PARTITIONS, MOST_PARTITIONS = 6, 100
UNLIMITED = "-1"


class TopicContractBroken(SourceContractViolation):
    """A topic exists, but does not meet the requirements of a rebuild from offset zero."""

    remedy = (
        "Give the topics the settings that the message names, with kafka-configs, or give section [topics] of "
        "readmodels.toml those of the topics. Never add partitions: keys would move. Or recreate the topics, with a "
        "snapshot of PostgreSQL: run `readmodels teardown --execute`, then `readmodels init`."
    )


class CleanupPolicy(Enum):
    """Kafka's treatment of old records."""

    DELETE = "delete"
    COMPACT = "compact"


@dataclass(frozen=True, kw_only=True)
class TopicSettings:
    """Settings for the topics of the captured tables.

    The defaults keep every record for ever, so that a read model can be rebuilt from offset zero. None for a replica
    count means the brokers' default.
    """

    peak_consumers: int = 3
    replication_factor: int | None = None
    min_insync_replicas: int | None = None
    cleanup_policy: CleanupPolicy = CleanupPolicy.DELETE
    retention_ms: int = -1
    retention_bytes: int = -1
    max_message_bytes: int = 16 * 1024 * 1024

    def __post_init__(self) -> None:
        if self.peak_consumers < 1 or self.max_message_bytes < 1:
            raise ValueError(f"consumers and message bytes must be above zero: {self}")
        if self.retention_ms < -1 or self.retention_bytes < -1:
            raise ValueError(f"a retention is -1 (for ever) or a limit of zero or more: {self}")

    @property
    def partitions(self) -> int:
        """Twice the expected peak of consumers, from 6 to 100, because the count can never be changed later."""
        return min(max(2 * self.peak_consumers, FEWEST_PARTITIONS), MOST_PARTITIONS)

    @property
    def kafka_config(self) -> dict[str, str]:
        """Kafka's names and values for these settings."""
        config = {
            "cleanup.policy": self.cleanup_policy.value,
            "retention.ms": str(self.retention_ms),
            "retention.bytes": str(self.retention_bytes),
            "max.message.bytes": str(self.max_message_bytes),
        }
        if self.min_insync_replicas is not None:
            config["min.insync.replicas"] = str(self.min_insync_replicas)
        return config


@dataclass(frozen=True)
class TopicSpec:
    """Required state of one topic; `replication_factor` None is the brokers' default.

    Args:
        config: settings that an existing topic must have. They are never altered: a topic with another value is
            refused.
        tuning: settings that can be changed at any time without harm to the records.
    """

    name: str
    partitions: int
    replication_factor: int | None
    config: Mapping[str, str]
    tuning: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class TopicIdentity:
    """Identity of a topic. The id changes when the topic is deleted and recreated."""

    name: str
    topic_id: str
    partitions: int


@dataclass(frozen=True)
class Topic:
    """Actual state of one topic. Its id changes when it is deleted and recreated, which ends an epoch."""

    name: str
    topic_id: str
    partitions: int
    replication_factor: int
    config: Mapping[str, str]


def topic_specs(configuration: ConnectorConfiguration, settings: TopicSettings) -> list[TopicSpec]:
    """Return every topic that the connector writes to.

    All but the topics of tables have one partition, because their order matters.
    """
    config = settings.kafka_config
    service_config = config | {"cleanup.policy": CleanupPolicy.DELETE.value, "retention.ms": UNLIMITED}
    return [
        TopicSpec(name, settings.partitions, settings.replication_factor, config) for name in configuration.table_topics
    ] + [TopicSpec(name, 1, settings.replication_factor, service_config) for name in configuration.service_topics]


def describe(admin: AdminClient, names: Iterable[str]) -> dict[str, Topic]:
    """Return those of the topics that exist.

    Raises:
        KafkaUnavailable: the brokers did not answer.
    """
    wanted = list(names)
    described = admin.describe_topics(TopicCollection(wanted), request_timeout=REQUEST_TIMEOUT_S)
    found = {}
    for name, answer in described.items():
        try:
            found[name] = answer.result()
        except KafkaException as error:
            if _code(error) != KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise KafkaUnavailable(f"cannot describe topic {name}: {error_text(error)}") from error
    configs = _configs(admin, list(found))
    return {
        name: Topic(
            name=name,
            topic_id=str(topic.topic_id),
            partitions=len(topic.partitions),
            replication_factor=len(topic.partitions[0].replicas),
            config=configs[name],
        )
        for name, topic in found.items()
        # A topic that is being deleted can be described for a moment although its settings are gone.
        if name in configs
    }


class TopicIdentityRequest:
    """Pending request for the identities of topics."""

    def __init__(self, admin: AdminClient, names: Iterable[str]) -> None:
        self.names = list(names)
        self._answers = admin.describe_topics(TopicCollection(self.names), request_timeout=REQUEST_TIMEOUT_S)

    def result(self) -> list[TopicIdentity]:
        """Wait for the answer. Missing topics are left out.

        Raises:
            KafkaUnavailable: the brokers did not answer.
        """
        found = []
        for name, answer in self._answers.items():
            try:
                topic = answer.result()
            except KafkaException as error:
                if _code(error) != KafkaError.UNKNOWN_TOPIC_OR_PART:
                    raise KafkaUnavailable(f"cannot describe topic {name}: {error_text(error)}") from error
                continue
            found.append(TopicIdentity(name, str(topic.topic_id), len(topic.partitions)))
        return found


def create_missing(admin: AdminClient, topics: Iterable[TopicSpec]) -> list[str]:
    """Create the topics that do not exist, and verify those that do.

    Returns: the names of the created topics.

    Raises:
        TopicContractBroken: an existing topic differs; nothing was created.
        KafkaUnavailable: the brokers did not answer, or rejected a topic.
    """
    wanted = {topic.name: topic for topic in topics}
    existing = describe(admin, wanted)
    differences = [line for name, topic in existing.items() for line in diff(wanted[name], topic)]
    if differences:
        raise TopicContractBroken("; ".join(differences))
    missing = [topic for name, topic in wanted.items() if name not in existing]
    if missing:
        _create(admin, missing)
    return [topic.name for topic in missing]


def tune(admin: AdminClient, topics: Iterable[TopicSpec]) -> list[str]:
    """Apply the tuning settings that existing topics lack.

    Returns: the names of the changed topics.

    Raises:
        KafkaUnavailable: the brokers did not answer, or rejected a setting.
    """
    wanted = {topic.name: topic for topic in topics if topic.tuning}
    resources = []
    for name, topic in describe(admin, wanted).items():
        lacking = {key: value for key, value in wanted[name].tuning.items() if topic.config.get(key) != value}
        entries = [
            ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET) for key, value in lacking.items()
        ]
        if entries:
            resources.append(ConfigResource(ResourceType.TOPIC, name, incremental_configs=entries))
    if not resources:
        return []
    answers = admin.incremental_alter_configs(resources, request_timeout=REQUEST_TIMEOUT_S)
    try:
        for answer in answers.values():
            answer.result()
    except KafkaException as error:
        raise KafkaUnavailable(f"cannot change the settings of topics: {error_text(error)}") from error
    return [resource.name for resource in resources]


def diff(wanted: TopicSpec, topic: Topic) -> list[str]:
    """Return the differences between a topic and its required state, one line each."""
    differences = []
    if topic.partitions != wanted.partitions:
        differences.append(f"{topic.name} has {topic.partitions} partitions, not {wanted.partitions}")
    if wanted.replication_factor not in {None, topic.replication_factor}:
        differences.append(f"{topic.name} has {topic.replication_factor} replicas, not {wanted.replication_factor}")
    differences += [
        f"{topic.name} has {key}={topic.config.get(key)}, not {value}"
        for key, value in wanted.config.items()
        if topic.config.get(key) != value
    ]
    return differences


def delete(admin: AdminClient, names: Iterable[str]) -> list[str]:
    """Delete those of the topics that exist, with all their records.

    Returns: the names of the deleted topics.

    Raises:
        KafkaUnavailable: the brokers did not answer, or rejected the request.
    """
    deleted = []
    wanted = list(names)
    for name, answer in admin.delete_topics(wanted, request_timeout=REQUEST_TIMEOUT_S).items():
        try:
            answer.result()
            deleted.append(name)
        except KafkaException as error:
            if _code(error) != KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise KafkaUnavailable(f"cannot delete topic {name}: {error_text(error)}") from error
    return [name for name in wanted if name in deleted]


def _create(admin: AdminClient, topics: list[TopicSpec]) -> None:
    asked = admin.create_topics(
        [
            NewTopic(
                topic.name,
                num_partitions=topic.partitions,
                # -1 means the brokers' default: https://cwiki.apache.org/confluence/x/nRwRB (KIP-464)
                replication_factor=topic.replication_factor or -1,
                config={**topic.config, **topic.tuning},
            )
            for topic in topics
        ],
        request_timeout=REQUEST_TIMEOUT_S,
    )
    for name, answer in asked.items():
        try:
            answer.result()
        except KafkaException as error:
            if _code(error) != KafkaError.TOPIC_ALREADY_EXISTS:
                raise KafkaUnavailable(f"cannot create topic {name}: {error_text(error)}") from error


def _unless_unknown(answer: Future[Any]) -> Any | None:
    try:
        return answer.result()
    except KafkaException as error:
        if _code(error) != KafkaError.UNKNOWN_TOPIC_OR_PART:
            raise
        return None


def _configs(admin: AdminClient, names: list[str]) -> dict[str, dict[str, str]]:
    if not names:
        return {}
    resources = [ConfigResource(ResourceType.TOPIC, name) for name in names]
    answers = admin.describe_configs(resources, request_timeout=REQUEST_TIMEOUT_S)
    try:
        return {
            resource.name: {entry.name: entry.value for entry in found.values()}
            for resource, answer in answers.items()
            if (found := _unless_unknown(answer)) is not None
        }
    except KafkaException as error:
        raise KafkaUnavailable(f"cannot read the settings of topics: {error_text(error)}") from error


def _code(error: KafkaException) -> int:
    return int(error.args[0].code())
