"""Kafka settings, clients, and the offsets at both ends of a log."""

import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any, TypeVar

import structlog
from confluent_kafka import IsolationLevel, KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from connectors.errors import DependencyUnavailable

log = structlog.get_logger()

ClientSetting = str | int | float | bool

_SERVER = re.compile(r"(?:[A-Z_]+://)?(?:\[[0-9a-fA-F:.]+\]|[^\s:/,\[\]]+)(?::\d{1,5})?")
"""Broker as `host:port`. librdkafka also accepts `SASL_SSL://host:port`, and uses port 9092 if none is given."""

WARNINGS = 4
"""Log level of the client library, in syslog's numbers. Informational messages are left out."""

REQUEST_TIMEOUT_S = 10.0
T = TypeVar("T")

_ELECTING = (KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE)
"""Errors for a partition without a known leader, such as that of a new topic."""
_ELECTED_AFTER_S = 0.1


class KafkaUnavailable(DependencyUnavailable):
    """The brokers did not answer, or rejected the request."""

    remedy = "Start the brokers, or correct `kafka.bootstrap_servers` and the user and password in `kafka.client`."


@dataclass(frozen=True, kw_only=True)
class KafkaSettings:
    """Addresses of the brokers, and client settings (librdkafka's names) such as TLS."""

    bootstrap_servers: str
    client: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        servers = [server.strip() for server in self.bootstrap_servers.split(",")]
        if wrong := [server for server in servers if not _SERVER.fullmatch(server)]:
            raise ValueError(f"{wrong[0]!r} is no broker: the list is host:port, joined by commas")
        object.__setattr__(self, "bootstrap_servers", ",".join(servers))

    def with_client(self, **settings: ClientSetting) -> dict[str, Any]:
        """Return the settings of one librdkafka client. Underscores in the given names stand for dots.

        The client's own log messages go to the log of this process.
        """
        named = {name.replace("_", "."): value for name, value in settings.items()}
        return {
            "bootstrap.servers": self.bootstrap_servers,
            "log_level": WARNINGS,
            **self.client,
            **named,
            "logger": _ClientLog(),
            "error_cb": _outage_log(self.bootstrap_servers),
        }

    def admin(self) -> AdminClient:
        """Return an admin client. It connects at its first request."""
        return AdminClient(self.with_client())


class _ClientLog:
    """Logger of the client's messages, at debug level. Without a broker, the client writes twenty lines a second."""

    def log(self, _level: int, words: str, *arguments: object) -> None:
        log.debug("kafka client", message=words % arguments if arguments else words)

    def handle(self, record: object) -> None:
        log.debug("kafka client", message=str(record))


class _OutageLog:
    """Callback that logs an unreachable cluster, once for all clients of this process.

    A client calls it while it is polled, and keeps retrying by itself.
    """

    AGAIN_AFTER_S = 30.0

    def __init__(self, bootstrap_servers: str) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._said_at: dict[int, float] = {}

    def __call__(self, error: KafkaError) -> None:
        now = time.monotonic()
        # A transport error concerns one connection. The client reports it at every attempt, and reports separately that
        # no other connection is left.
        is_detail = error.code() == KafkaError._TRANSPORT
        if is_detail or now - self._said_at.get(error.code(), -self.AGAIN_AFTER_S) < self.AGAIN_AFTER_S:
            return
        self._said_at[error.code()] = now
        log.warning(
            "kafka unreachable",
            reason=error.str(),
            bootstrap_servers=self._bootstrap_servers,
            remedy=KafkaUnavailable.remedy,
        )


_outage_log = cache(_OutageLog)
"""One instance per cluster."""


def error_text(error: KafkaException) -> str:
    """Return the message of Kafka or its client."""
    return str(error.args[0].str())


def end_offsets(admin: AdminClient, topics: Iterable[str]) -> dict[tuple[str, int], int]:
    """Return the next offset of every partition of `topics`, including records of open transactions.

    A consumer of committed records still reaches that offset: it moves past commit markers and aborted records.

    Raises:
        KafkaUnavailable: the brokers did not answer, or a topic does not exist.
    """
    return _offsets(admin, list(topics), OffsetSpec.latest(), "end")


def earliest_offsets(admin: AdminClient, topics: Iterable[str]) -> dict[tuple[str, int], int]:
    """Return the first offset of every partition of `topics`. It is above zero if the beginning was deleted.

    Raises:
        KafkaUnavailable: the brokers did not answer, or a topic does not exist.
    """
    return _offsets(admin, list(topics), OffsetSpec.earliest(), "earliest")


def offsets_at(admin: AdminClient, topics: Iterable[str], moment: datetime) -> dict[tuple[str, int], int]:
    """Return the offset of the first record of every partition of `topics` at or after a point in time.

    Returns:
        The offsets of the partitions that have such a record; the others are left out.

    Raises:
        KafkaUnavailable: the brokers did not answer, or a topic does not exist.
    """
    found = _offsets(admin, list(topics), OffsetSpec.for_timestamp(int(moment.timestamp() * 1000)), moment.isoformat())
    return {shard: offset for shard, offset in found.items() if offset >= 0}


def retry_while_electing(request: Callable[[], T]) -> T:
    """Retry a request for `REQUEST_TIMEOUT_S` while a partition has no known leader, such as that of a new topic.

    Raises:
        KafkaException: the request failed for another reason, or there is still no leader.
    """
    deadline = time.monotonic() + REQUEST_TIMEOUT_S
    while True:
        try:
            return request()
        except KafkaException as error:
            if error.args[0].code() not in _ELECTING or time.monotonic() > deadline:
                raise
            time.sleep(_ELECTED_AFTER_S)


def _offsets(admin: AdminClient, names: list[str], which: OffsetSpec, called: str) -> dict[tuple[str, int], int]:
    def request() -> dict[tuple[str, int], int]:
        described = admin.describe_topics(TopicCollection(names), request_timeout=REQUEST_TIMEOUT_S)
        partitions = [
            TopicPartition(name, partition.id) for name in names for partition in described[name].result().partitions
        ]
        asked = admin.list_offsets(
            dict.fromkeys(partitions, which),
            isolation_level=IsolationLevel.READ_UNCOMMITTED,
            request_timeout=REQUEST_TIMEOUT_S,
        )
        return {(place.topic, place.partition): answer.result().offset for place, answer in asked.items()}

    try:
        return retry_while_electing(request)
    except KafkaException as error:
        raise KafkaUnavailable(
            f"cannot read the {called} offsets of {', '.join(names)}: {error_text(error)}"
        ) from error
