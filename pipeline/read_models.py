"""The read models by name: the store of each, and how it is projected.

Each store's client is imported where it is opened: a process pays for its own store only.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from connectors.decode import Decoder
from connectors.envelope import Format, TableColumns
from connectors.numerics import Decimals
from pipeline.config import DecimalMode, Settings, ValueFormat
from pipeline.project import DocumentProjection, Projection, RowProjection
from sinks.sink import Store

if TYPE_CHECKING:
    from sinks.duckdb_store import DuckdbStore

Opener = Callable[[Settings], contextlib.AbstractContextManager[Store]]


class UnknownModel(ValueError):
    """There is no read model of this name."""

    remedy = "The models are elasticsearch, redis and duckdb; `all` means every one."


@contextlib.contextmanager
def _elasticsearch(settings: Settings) -> Iterator[Store]:
    from sinks import elasticsearch

    timeout_s = settings.elasticsearch.request_timeout_s
    with elasticsearch.connect(settings.elasticsearch.url, request_timeout_s=timeout_s) as client:
        yield elasticsearch.ElasticsearchStore(client, settings.contract.document_shapes())


@contextlib.contextmanager
def _redis(settings: Settings) -> Iterator[Store]:
    from sinks import redis

    with contextlib.closing(redis.RedisStore(settings.redis.url, settings.contract.document_shapes())) as store:
        yield store


@contextlib.contextmanager
def _duckdb(settings: Settings) -> Iterator[Store]:
    with contextlib.closing(open_duckdb(settings)) as store:
        yield store


def open_duckdb(settings: Settings) -> DuckdbStore:
    """The DuckDB store; whoever opens it closes it."""
    from pipeline.analytics import analytics
    from sinks.duckdb_store import DuckdbStore

    duckdb = settings.duckdb
    shapes = settings.contract.row_shapes()
    return DuckdbStore(duckdb.directory, shapes, duckdb.memory_limit, analytics(duckdb.time_zone))


STORES: dict[str, Opener] = {"elasticsearch": _elasticsearch, "redis": _redis, "duckdb": _duckdb}
MODELS = tuple(STORES)


def named(models: list[str] | None) -> list[str]:
    """Model names as given on a command line; none, or `all`, means every one.

    Raises:
        UnknownModel: a name is not one of ours.
    """
    if not models or models == ["all"]:
        return list(MODELS)
    for model in models:
        if model not in STORES:
            raise UnknownModel(f"there is no read model {model!r}")
    return list(dict.fromkeys(models))


def projection(model: str, settings: Settings) -> Projection:
    """How envelopes become the mutations of a model."""
    return RowProjection(settings.contract) if model == "duckdb" else DocumentProjection(settings.contract)


def group(model: str, generation: int) -> str:
    """The consumer group that feeds a generation."""
    return f"readmodels.{model}.{generation}"


def decoder(settings: Settings) -> Decoder:
    """What turns the topics' records into envelopes."""
    from connectors.registry import SchemaRegistry

    contract, envelopes = settings.contract, settings.envelopes
    form = Format.JSON if envelopes.format is ValueFormat.JSON else Format.AVRO
    decimals = Decimals.ALLOW_DOUBLE if envelopes.decimals is DecimalMode.DOUBLE else Decimals.EXACT
    tables = {
        topic: TableColumns(contract.tables[name].source, contract.tables[name].columns, form)
        for topic, name in contract.topics.items()
    }
    return Decoder(tables, SchemaRegistry.at(settings.schema_registry.url), decimals)
