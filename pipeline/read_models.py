"""List of the read models, and what follows from a model's description: projection, shapes, metadata and groups."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
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
from pipeline.stores.duckdb.read_model import DUCKDB
from pipeline.stores.elasticsearch import ELASTICSEARCH
from pipeline.stores.read_model import ModelKind, ReadModel
from pipeline.stores.redis import REDIS
from sinks.generation import GenerationMetadata, utc_now
from sinks.shape import Shape
from sinks.sink import Store

if TYPE_CHECKING:
    from connectors.schema_registry import SchemaRegistry

READ_MODELS: dict[str, ReadModel] = {one.name: one for one in (ELASTICSEARCH, REDIS, DUCKDB)}
"""Every read model, by name. A new store needs one entry here (docs/guides/add-a-store.md)."""

_NAMES = ", ".join(f"`{name}`" for name in READ_MODELS)


class UnknownModel(ValueError):
    """There is no read model of this name."""

    remedy = f"Name a model, one of {_NAMES}; or `all` of them."


def parse_names(models: list[str] | None) -> list[str]:
    """Return the model names given on a command line; none, or `all`, means every model.

    Raises:
        UnknownModel: a name is not that of a read model.
    """
    if not models or models == ["all"]:
        return list(READ_MODELS)
    for model in models:
        if model not in READ_MODELS:
            raise UnknownModel(f"there is no read model {model!r}")
    return list(dict.fromkeys(models))


def open_store(model: str, settings: Settings) -> AbstractContextManager[Store]:
    """Open the store of a model; see `ReadModel.open`."""
    return READ_MODELS[model].open(settings)


def open_shared(model: str, settings: Settings) -> AbstractContextManager[Store]:
    """Open the store for one of several processes that write a model; see `ReadModel.open_shared`."""
    return READ_MODELS[model].open_shared(settings)


def projection(model: str, settings: Settings, epoch_history: EpochHistory = NO_EPOCHS) -> Projection:
    """Return a model's projection of envelopes to mutations, for a generation with these epochs."""
    makes_rows = READ_MODELS[model].kind is ModelKind.ROW
    return (RowProjection if makes_rows else DocumentProjection)(settings.definitions, epoch_history)


def shapes(model: str, settings: Settings) -> Sequence[Shape]:
    """Return the shapes of a model."""
    definitions = settings.definitions
    has_rows = READ_MODELS[model].kind is ModelKind.ROW
    return definitions.row_shapes() if has_rows else definitions.document_shapes()


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
