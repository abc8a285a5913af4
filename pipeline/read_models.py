"""Registry of the read models by name: their stores, projections and decoders.

Each store's client is imported when the store is opened, so that a process loads only the client it needs.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from connectors.decode.decoder import Decoder
from connectors.envelope import EarlierRecords, SourceTable, ValueEncoding
from connectors.schema_lookup import SchemaLookup
from connectors.types.numeric import DecimalPolicy
from pipeline.config import DecimalMode, Settings, ValueFormat
from pipeline.definitions import TableDefinition, parse_definitions
from pipeline.ingest.epoch_history import NO_EPOCHS, EpochHistory
from pipeline.ingest.projection import DocumentProjection, Projection, RowProjection
from pipeline.postgres.incremental_snapshot import IncrementalSnapshots
from sinks.generation import GenerationMetadata, utc_now
from sinks.shape import Shape
from sinks.sink import Store

if TYPE_CHECKING:
    from connectors.schema_registry import SchemaRegistry
    from sinks.duckdb.store import DuckdbStore

Opener = Callable[[Settings], contextlib.AbstractContextManager[Store]]


class UnknownModel(ValueError):
    """There is no read model of this name."""

    remedy = "Name a model: `elasticsearch`, `redis` or `duckdb`; or `all` of them."


@contextlib.contextmanager
def _elasticsearch(settings: Settings) -> Iterator[Store]:
    from sinks.elasticsearch import store as elasticsearch

    timeout_s = settings.elasticsearch.request_timeout_s
    with elasticsearch.connect(settings.elasticsearch.url, request_timeout_s=timeout_s) as client:
        yield elasticsearch.ElasticsearchStore(client, settings.definitions.document_shapes())


@contextlib.contextmanager
def _redis(settings: Settings) -> Iterator[Store]:
    from sinks.redis import store as redis

    with contextlib.closing(redis.RedisStore(settings.redis.url, settings.definitions.document_shapes())) as store:
        yield store


@contextlib.contextmanager
def _duckdb(settings: Settings) -> Iterator[Store]:
    from sinks.duckdb.remote.client import RemoteDuckdbStore
    from sinks.duckdb.remote.server import is_writer_running

    if is_writer_running(settings.duckdb.directory):
        yield RemoteDuckdbStore(settings.duckdb.directory)
        return
    with contextlib.closing(open_duckdb(settings)) as store:
        yield store


@contextlib.contextmanager
def open_shared(model: str, settings: Settings) -> Iterator[Store]:
    """Open the store for one of several processes that write a model. DuckDB's files stay with its own worker."""
    if model == "duckdb":
        from sinks.duckdb.remote.client import RemoteDuckdbStore

        yield RemoteDuckdbStore(settings.duckdb.directory)
        return
    with STORES[model](settings) as store:
        yield store


def open_duckdb(settings: Settings) -> DuckdbStore:
    """Open the DuckDB store. The caller closes it."""
    from sinks.duckdb.analytics_views import shipped_views
    from sinks.duckdb.store import DuckdbStore

    duckdb = settings.duckdb
    shapes = settings.definitions.row_shapes()
    return DuckdbStore(duckdb.directory, shapes, duckdb.memory_limit, shipped_views(duckdb.time_zone))


STORES: dict[str, Opener] = {"elasticsearch": _elasticsearch, "redis": _redis, "duckdb": _duckdb}
"""Opener of each store. DuckDB's goes through the process that has its writer lock, if there is one."""

MODELS = tuple(STORES)

SINGLE_WRITER = frozenset({"duckdb"})
"""Models whose store only one process may write. Other processes send their writes to that process."""


def parse_names(models: list[str] | None) -> list[str]:
    """Return the model names given on a command line; none, or `all`, means every model.

    Raises:
        UnknownModel: a name is not that of a read model.
    """
    if not models or models == ["all"]:
        return list(MODELS)
    for model in models:
        if model not in STORES:
            raise UnknownModel(f"there is no read model {model!r}")
    return list(dict.fromkeys(models))


def projection(model: str, settings: Settings, epoch_history: EpochHistory = NO_EPOCHS) -> Projection:
    """Return a model's projection of envelopes to mutations, for a generation with these epochs."""
    return (RowProjection if model == "duckdb" else DocumentProjection)(settings.definitions, epoch_history)


def shapes(model: str, settings: Settings) -> Sequence[Shape]:
    """Return the shapes of a model."""
    return settings.definitions.row_shapes() if model == "duckdb" else settings.definitions.document_shapes()


def new_metadata(model: str, settings: Settings) -> GenerationMetadata:
    """Return the metadata of a generation that is created now from these settings."""
    return GenerationMetadata(
        created_at=utc_now(),
        shapes=tuple(shapes(model, settings)),
        contract=settings.definitions.to_json(),
        is_complete=True,
    )


def settings_for(record: GenerationMetadata, settings: Settings) -> Settings:
    """Return the settings of a generation: it keeps its definitions, even if `readmodels.toml` has changed since."""
    if not record.contract:
        return settings
    definitions = parse_definitions(record.contract)
    made_of = {
        "topic_prefix": definitions.topic_prefix,
        "tables": definitions.tables,
        "documents": definitions.documents,
    }
    return settings.model_copy(update=made_of)


def default_builders(model: str) -> int:
    """Return the default number of processes that fill a new generation.

    The default is one for every core; for Elasticsearch, one for every two. Builders have different partitions, and so
    different parts of the same documents, which all of them write. That costs its server more than it saves them
    (docs/performance.md).
    """
    cores = os.cpu_count() or 1
    return max(1, cores // 2) if model == "elasticsearch" else cores


def consumer_group(model: str, generation: int) -> str:
    """Return the consumer group of a generation."""
    return f"readmodels.{model}.{generation}"


def registry(settings: Settings) -> SchemaRegistry:
    """Return the schema registry of the topics' records."""
    from connectors.schema_registry import SchemaRegistry

    return SchemaRegistry.at(settings.schema_registry.url)


def incremental_snapshots(settings: Settings) -> IncrementalSnapshots:
    """Return the client that requests incremental snapshots."""
    source = settings.source
    return IncrementalSnapshots(
        settings.kafka, settings.connector, source.url, source.replication_role, registry(settings)
    )


def decoder(settings: Settings, schemas: SchemaLookup | None = None, *, is_lenient: bool = False) -> Decoder:
    """Return the decoder of the topics' records into envelopes.

    Args:
        schemas: source of the schemas; None for the registry.
        is_lenient: whether any record may lack columns, or have them in another type; they then read as NULL.
    """
    definitions, envelopes = settings.definitions, settings.envelopes
    form = ValueEncoding.JSON if envelopes.format is ValueFormat.JSON else ValueEncoding.AVRO
    decimals = DecimalPolicy.ALLOW_DOUBLE if envelopes.decimals is DecimalMode.DOUBLE else DecimalPolicy.EXACT
    tables = {
        topic: SourceTable(table.source, table.columns, form, _earlier(table, is_lenient=is_lenient))
        for topic, name in definitions.topics.items()
        for table in [definitions.tables[name]]
    }
    return Decoder(tables, schemas or registry(settings), decimals)


def _earlier(table: TableDefinition, *, is_lenient: bool) -> EarlierRecords | None:
    if is_lenient:
        return EarlierRecords({name: None for name in table.columns if name not in table.key})
    if not table.earlier:
        return None
    return EarlierRecords(table.earlier, {int(partition): end for partition, end in table.earlier_end.items()})
