"""Configuration of the Debezium connector: the shipped settings, names derived from them, and required values."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from importlib.resources import files

from connectors.capture_list import format_name_list, parse_name_list, split_list, topic_of
from connectors.errors import SourceContractViolation
from connectors.source_session import OPTIONS, startup_options

SHIPPED = "postgres-orders-cdc.json"

REQUIRED_SETTINGS: Mapping[str, tuple[str, str]] = {
    "plugin.name": ("pgoutput", "it is the decoder that every PostgreSQL has built in"),
    "publication.autocreate.mode": ("disabled", "the connector may not widen what is published"),
    "snapshot.mode": ("initial", "a connector that snapshots again by itself leaves deleted rows in the log"),
    "snapshot.max.threads": ("1", "several threads read several points in time"),
    "skipped.operations": ("none", "a truncate that is skipped leaves its rows in the read models"),
    "tombstones.on.delete": ("true", "without tombstones a compacted topic keeps deleted rows"),
    "provide.transaction.metadata": ("false", "before 3.7 it can lose changes at a restart"),
    "event.processing.failure.handling.mode": ("fail", "any other mode drops changes"),
    "signal.enabled.channels": ("source", "only the signal table refuses a blocking snapshot"),
    "read.only": ("false", "a read-only incremental snapshot cannot be put in order with the stream"),
    "time.precision.mode": ("adaptive_time_microseconds", "microseconds must survive"),
    "interval.handling.mode": ("string", "a number of microseconds only approximates months"),
    "converters": ("readmodels", "Debezium's own lose dimensions and NaN of arrays, eras of dates, and far timestamps"),
    "readmodels.type": ("readmodels.PostgresConverter", "it is the converter that keeps these values"),
    "transforms": ("readmodels", "Avro has the default in place of a NULL; a record after others is no envelope"),
    "transforms.readmodels.type": ("readmodels.DropDefaults", "it is the transform that keeps a NULL"),
    "exactly.once.support": ("required", "a worker that was replaced could still write"),
    "transaction.boundary": ("poll", "marks become readable with the changes before them"),
    "key.converter": ("org.apache.kafka.connect.json.JsonConverter", "a key's bytes decide its partition"),
    "key.converter.schemas.enable": ("false", "a schema in the key would move rows to other partitions"),
}
"""Settings that correctness depends on, each with its only valid value and the reason."""

FORBIDDEN_SETTINGS: Mapping[str, str] = {
    "message.key.columns": "a key that is not the primary key gives several rows one identity",
    "transforms.readmodels.predicate": "a NULL would arrive as the default in records that it leaves out",
}

WATERMARK_PREFIX = "readmodels"

JSON_VALUES: Mapping[str, str] = {
    "value.converter": "org.apache.kafka.connect.json.JsonConverter",
    "value.converter.schemas.enable": "false",
    "value.converter.replace.null.with.default": "false",
}


class ConfigurationRefused(SourceContractViolation):
    """A connector configuration under which the read models could silently become wrong."""

    remedy = (
        "Remove the settings that the message names from [envelopes.connector] of readmodels.toml, if they are there; "
        "then run `readmodels init`, which gives the connector the values that they must have."
    )

    def __init__(self, refusals: list[str]) -> None:
        super().__init__("; ".join(refusals))
        self.refusals = refusals


@dataclass(frozen=True)
class ConnectorConfiguration:
    """Name and settings of a connector, and the names derived from them."""

    name: str
    settings: Mapping[str, str] = field(repr=False)

    @property
    def tables(self) -> tuple[str, ...]:
        """The captured tables, each as `schema.table`."""
        return parse_name_list(self.settings["table.include.list"])

    @property
    def prefix(self) -> str:
        """The prefix of the topics."""
        return self.settings["topic.prefix"]

    @property
    def slot(self) -> str:
        """The replication slot."""
        return self.settings["slot.name"]

    @property
    def publication(self) -> str:
        """The publication that the slot reads."""
        return self.settings["publication.name"]

    @property
    def signal_table(self) -> str:
        """The signal table, through which snapshots are requested, as `schema.table`."""
        return self.settings["signal.data.collection"]

    @property
    def table_topics(self) -> tuple[str, ...]:
        """The topics of the captured tables, in the order of the tables."""
        return tuple(topic_of(self.prefix, table) for table in self.tables)

    @property
    def message_topic(self) -> str:
        """The topic of logical messages, which contains the watermarks."""
        return f"{self.prefix}.message"

    @property
    def notification_topic(self) -> str:
        """The topic in which the connector reports the progress of its snapshots."""
        return self.settings["notification.sink.topic.name"]

    @property
    def service_topics(self) -> tuple[str, ...]:
        """The connector's other topics: watermarks, heartbeats, signals and notifications.

        Source: https://debezium.io/documentation/reference/3.6/connectors/postgresql.html
        """
        heartbeat = self.settings.get("heartbeat.topics.prefix", "__debezium-heartbeat")
        return (
            self.message_topic,
            f"{heartbeat}.{self.prefix}",
            f"{self.prefix}.{self.signal_table}",
            self.notification_topic,
        )

    @property
    def has_json_values(self) -> bool:
        """True if values are JSON without schemas, not Avro."""
        return self.settings["value.converter"] == JSON_VALUES["value.converter"]

    def captures_column(self, table: str, column: str) -> bool:
        """Return whether a captured column is in the envelopes. Patterns match the whole `schema.table.column`."""
        excluded = split_list(self.settings.get("column.exclude.list", ""))
        return not any(re.fullmatch(pattern.strip(), f"{table}.{column}", re.IGNORECASE) for pattern in excluded)

    def validate(self, *, is_double_accepted: bool = False) -> None:
        """Reject settings under which changes could be lost, reordered or rounded.

        Args:
            is_double_accepted: accept decimals as binary doubles, which lose cents beyond 2**53.

        Raises:
            ConfigurationRefused: the message names every wrong setting, with the reason.
        """
        refusals = [
            f"{key} must be {wanted!r}, not {self.settings.get(key)!r}: {reason}"
            for key, (wanted, reason) in REQUIRED_SETTINGS.items()
            if self.settings.get(key) != wanted
        ]
        refusals += [
            f"{key} must not be set: {reason}" for key, reason in FORBIDDEN_SETTINGS.items() if key in self.settings
        ]
        if self.settings.get("driver.options") not in OPTIONS:
            refusals.append(
                f"driver.options must be {OPTIONS[0]!r}, without what the server does not know:"
                " settings of the database would change how values are written"
            )
        decimals = self.settings.get("decimal.handling.mode", "precise")
        if decimals == "double" and not is_double_accepted:
            refusals.append("decimal.handling.mode must be 'string' or 'precise': doubles lose cents")
        if self.has_json_values and decimals == "precise":
            refusals.append("decimal.handling.mode must be 'string' with JSON values: the scale is not on the wire")
        if int(self.settings.get("heartbeat.interval.ms", "0")) <= 0:
            refusals.append("heartbeat.interval.ms must be above 0: an idle slot would keep WAL for ever")
        if refusals:
            raise ConfigurationRefused(refusals)

    def for_server(self, version: int) -> "ConnectorConfiguration":
        """Return this configuration without session options unknown to PostgreSQL of this major version, such as 16."""
        return self.with_settings({"driver.options": startup_options(version)})

    def with_json_values(self) -> "ConnectorConfiguration":
        """Return this configuration with JSON values without schemas, not Avro, so that it needs no schema registry."""
        kept = {key: value for key, value in self.settings.items() if not key.startswith("value.converter")}
        return replace(self, settings={**kept, **JSON_VALUES})

    def with_prefix(self, prefix: str) -> "ConnectorConfiguration":
        """Return this configuration with another prefix of the topic names."""
        return self.with_settings({"topic.prefix": prefix, "notification.sink.topic.name": f"{prefix}.notification"})

    def with_tables(self, tables: Iterable[str]) -> "ConnectorConfiguration":
        """Return this configuration with other captured tables, each as `schema.table`."""
        return self.with_settings({"table.include.list": format_name_list(tables)})

    def with_settings(self, changes: Mapping[str, str]) -> "ConnectorConfiguration":
        """Return this configuration with changed or added settings; `name` is the name of the connector."""
        kept = {key: value for key, value in changes.items() if key != "name"}
        return replace(self, name=changes.get("name", self.name), settings={**self.settings, **kept})


def default_configuration() -> ConnectorConfiguration:
    """Read the shipped configuration. It contains references to secrets, never secrets."""
    document = json.loads(files("connectors").joinpath(SHIPPED).read_text(encoding="utf-8"))
    return ConnectorConfiguration(document["name"], document["config"])
