"""Settings, read from flags, then the environment, then `readmodels.toml`, then defaults.

Environment variables begin with `READMODELS_`, with `__` between a section and a setting:
`READMODELS_KAFKA__BOOTSTRAP_SERVERS`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from enum import Enum, StrEnum
from pathlib import Path
from typing import Any
from zoneinfo import available_timezones

from pydantic import ValidationError
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from connectors.capture_list import format_name_list, parse_name_list
from connectors.debezium import ConnectorConfiguration, default_configuration
from connectors.kafka import KafkaSettings
from connectors.topics import TopicSettings
from pipeline.definitions import DocumentDefinition, ModelDefinitions, TableDefinition
from pipeline.invalid_config import InvalidConfig, remedy_of
from pipeline.service_addresses import ElasticsearchSettings, RedisSettings, ServiceSettings, SourceSettings
from pipeline.worker_settings import AccumulatorSettings, BatchSettings, WatchdogSettings
from sinks.duckdb.reader_limits import DEFAULT_LIMITS, ReaderLimits

MASK = "********"
_FILE_MODE = re.compile(r"0?[67][0-7]{2}")
_PASSWORD_IN_URL = re.compile(r"(?<=://)([^:/@\s]*):[^@\s]*(?:@[^@/?#,\s]*(?=@))*@")
_SECRET_PARAMETER = re.compile(
    r"""((?:password|token|secret|api[._-]?key)\s*=\s*)('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[^&#\s]*)""", re.IGNORECASE
)
_SECRET_NAME = re.compile(
    r"password|passphrase|token|secret|credential|api[._-]?key|jaas|user\.info|oauthbearer\.config|key\.pem",
    re.IGNORECASE,
)
"""Names of secret settings: of this project, of the clients and of Kafka Connect."""


class ValueFormat(StrEnum):
    """Encoding of the connector's values."""

    AVRO = "avro"
    JSON = "json"


class DecimalMode(StrEnum):
    """Encoding of decimals: exact, or as doubles, which lose cents beyond 2**53."""

    EXACT = "exact"
    DOUBLE = "double"


@dataclass(frozen=True, kw_only=True)
class EnvelopeSettings:
    """Encoding of changes between the source and Kafka.

    Args:
        format: Avro with a schema registry, or JSON.
        decimals: `double` accepts a connector that rounds; `exact` refuses it.
        connector: settings that override or extend those of the shipped connector, by Debezium's names.
    """

    format: ValueFormat = ValueFormat.AVRO
    decimals: DecimalMode = DecimalMode.EXACT
    connector: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, kw_only=True)
class DuckdbSettings:
    """Settings of the analytics store.

    Args:
        directory: directory of the generations.
        serve: the address at which the worker serves readers, such as `quack:127.0.0.1:9494`; empty for none.
        token: the password of readers; at least 16 characters.
        copy_to: path at which the worker publishes a copy of the live tables; empty for none.
        copy_every_s: minimum time between two copies.
        copy_mode: access to the copy, as an octal file mode: `0600` for its owner, `0640` also for its group.
        memory_limit: DuckDB's memory limit, such as `2GB`.
        serve_insecure: whether readers are served without TLS at an address that other machines reach.
        max_query_bytes, max_result_bytes, max_readers, memory_headroom, max_spill: see `sinks.duckdb.reader_limits`.
        time_zone: time zone of the days in the views of `sql/analytics`, such as `Europe/Berlin`.
    """

    directory: Path = Path(".readmodels/duckdb")
    serve: str = ""
    serve_insecure: bool = False
    token: str = field(default="", repr=False)
    copy_to: str = ""
    copy_every_s: float = 5.0
    copy_mode: str = "0600"
    memory_limit: str = "2GB"
    max_query_bytes: int = DEFAULT_LIMITS.max_query_bytes
    max_result_bytes: int = DEFAULT_LIMITS.max_result_bytes
    max_readers: int = DEFAULT_LIMITS.max_readers
    memory_headroom: str = DEFAULT_LIMITS.memory_headroom
    max_spill: str = DEFAULT_LIMITS.max_spill
    time_zone: str = "UTC"

    @property
    def bounds(self) -> ReaderLimits:
        """Limits of readers' queries."""
        return ReaderLimits(**{one.name: getattr(self, one.name) for one in fields(ReaderLimits)})

    def __post_init__(self) -> None:
        if self.time_zone not in available_timezones():
            raise ValueError(f"there is no time zone {self.time_zone!r}")
        if not _FILE_MODE.fullmatch(self.copy_mode):
            raise ValueError(
                f"copy_mode is {self.copy_mode!r}, and must be an octal mode that its owner reads and writes"
            )


class Settings(BaseSettings):
    """All settings, in sections."""

    model_config = SettingsConfigDict(
        env_prefix="READMODELS_", env_nested_delimiter="__", extra="forbid", frozen=True, arbitrary_types_allowed=True
    )

    source: SourceSettings
    kafka: KafkaSettings
    connect: ServiceSettings
    schema_registry: ServiceSettings
    elasticsearch: ElasticsearchSettings
    redis: RedisSettings
    duckdb: DuckdbSettings = DuckdbSettings()
    topics: TopicSettings = TopicSettings()
    envelopes: EnvelopeSettings = EnvelopeSettings()
    batches: BatchSettings = BatchSettings()
    watchdog: WatchdogSettings = WatchdogSettings()
    catch_up: AccumulatorSettings = AccumulatorSettings(
        max_bytes=64 * 2**20, max_wait_s=2.0, max_wait_far_behind_s=30.0
    )
    rebuild: AccumulatorSettings = AccumulatorSettings(max_bytes=128 * 2**20)
    topic_prefix: str
    tables: dict[str, TableDefinition]
    documents: dict[str, DocumentDefinition] = {}

    @property
    def is_complete(self) -> bool:
        """False if key or columns of a table are left to the database."""
        return all(table.is_complete for table in self.tables.values())

    @property
    def definitions(self) -> ModelDefinitions:
        """Definitions of the read models."""
        return ModelDefinitions(topic_prefix=self.topic_prefix, tables=self.tables, documents=self.documents)

    @property
    def connector(self) -> ConnectorConfiguration:
        """Configuration of the connector."""
        shipped = default_configuration()
        written = shipped.with_json_values() if self.envelopes.format is ValueFormat.JSON else shipped
        given = dict(self.envelopes.connector)
        # Captured are the tables of the definitions, and those that a list of the user's names besides.
        more = parse_name_list(given.pop("table.include.list")) if "table.include.list" in given else ()
        captured = written.with_tables(dict.fromkeys((*(table.source for table in self.tables.values()), *more)))
        if excluded := [f"{table.source}.{name}" for table in self.tables.values() for name in table.exclude]:
            # A list of the user's adds to the excluded columns: none of them leaves the database.
            lists = [format_name_list(excluded), given.pop("column.exclude.list", "")]
            captured = captured.with_settings({"column.exclude.list": ",".join(filter(None, lists))})
        if name := self.source.database:
            captured = captured.with_settings({"database.dbname": name})
        if "topic.prefix" in given:
            return captured.with_settings(given)
        return captured.with_prefix(self.topic_prefix).with_settings(given)


def load(file: Path, defaults: Mapping[str, Any], flags: Mapping[str, Any] | None = None) -> Settings:
    """Read the settings.

    Args:
        file: `readmodels.toml`.
        defaults: sections with the lowest priority, such as a local stack's addresses.
        flags: sections with the highest priority.

    Raises:
        InvalidConfig: a setting is missing or wrong; the message names each, never its value.
        InvalidDefinitions: the definitions contradict themselves.
    """
    if not file.exists():
        raise InvalidConfig(
            f"there is no {file}",
            remedy=f"Create {file}, or pass the path of an existing config file with --config before the command.",
        )

    class Read(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
            file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            written = TomlConfigSettingsSource(settings_cls, file)
            return init_settings, env_settings, written, InitSettingsSource(settings_cls, dict(defaults))

    try:
        settings = Read(**(flags or {}))
    except ValidationError as error:
        wrong = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors(include_input=False)]
        raise InvalidConfig("; ".join(wrong), remedy=remedy_of(error, Settings)) from None
    except SettingsError as error:
        raise InvalidConfig(
            f"the environment: {error}",
            remedy="Unset the environment variable of the section in the message, READMODELS_ and the section's name, "
            "or set it to a JSON object.",
        ) from None
    except ValueError as error:
        raise InvalidConfig(
            f"{file} cannot be read: {error}", remedy=f"Correct the TOML syntax of {file} at the line in the message."
        ) from error
    # The definitions are built here, so that every command refuses definitions that contradict themselves.
    if settings.is_complete:
        _ = settings.definitions
    return settings


def load_source_url(file: Path, defaults: Mapping[str, Any]) -> str:
    """Read `source.url` alone, from the same places as `load`; the file need not exist.

    Raises:
        InvalidConfig: there is no such setting, or the file is not TOML.
    """

    class Read(BaseSettings):
        model_config = SettingsConfigDict(env_prefix="READMODELS_", env_nested_delimiter="__", extra="ignore")
        source: dict[str, Any] = {}

    try:
        written = TomlConfigSettingsSource(Read, file)().get("source", {})
        given = {**dict(defaults.get("source", {})), **written, **Read().source}
    except ValueError as error:
        raise InvalidConfig(f"{file} cannot be read: {error}", remedy=f"Correct {file}, or move it away.") from error
    if not isinstance(given.get("url"), str):
        raise InvalidConfig(
            "source.url is not set",
            remedy="Set READMODELS_SOURCE__URL to the libpq URL of the tables' owner, such as "
            "postgresql://user:password@host:5432/database, or start the local stack with `readmodels up`.",
        )
    return str(given["url"])


def to_plain(settings: Settings, is_secret_shown: bool) -> dict[str, Any]:
    """Convert the settings to plain data, in sections. Secrets are masked unless `is_secret_shown` is set."""
    sections = {name: getattr(settings, name) for name in Settings.model_fields}
    return {name: _plain(value, "", is_secret_shown) for name, value in sections.items()}


def mask_secrets(url: str) -> str:
    """Mask the passwords in a URL or a list of `name=value`."""
    return _SECRET_PARAMETER.sub(rf"\1{MASK}", _PASSWORD_IN_URL.sub(rf"\1:{MASK}@", url))


def _plain(value: Any, name: str, is_secret_shown: bool) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {one.name: _plain(getattr(value, one.name), one.name, is_secret_shown) for one in fields(value)}
    if isinstance(value, Mapping):
        return {key: _plain(one, str(key), is_secret_shown) for key, one in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(one, name, is_secret_shown) for one in value]
    if isinstance(value, Enum):
        return value.value
    if not isinstance(value, str | Path) or is_secret_shown:
        return value if isinstance(value, int | float | None) else str(value)
    return MASK if value and _SECRET_NAME.search(name) else mask_secrets(str(value))
