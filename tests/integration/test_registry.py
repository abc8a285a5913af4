"""Tests of schemas requested from a real registry by the ids in records."""

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from confluent_kafka.schema_registry import Schema, SchemaReference, SchemaRegistryClient

from connectors.decode.decoder import Decoder
from connectors.errors import UnknownSchema
from connectors.schema_registry import SchemaRegistry
from stack.endpoints import Endpoints
from tests.unit.connectors.decode.change_records import (
    COLUMNS,
    ORDERS,
    ROW,
    TOPIC,
    batch,
    change,
    envelope_schema,
    framed,
    rows,
)

MONEY = {"type": "record", "name": "shop.Money", "fields": [{"name": "cents", "type": "long"}]}


@pytest.fixture
def client(endpoints: Endpoints) -> Iterator[SchemaRegistryClient]:
    with SchemaRegistryClient({"url": endpoints.schema_registry}) as client:
        yield client


@contextmanager
def registered(
    client: SchemaRegistryClient, subject: str, schema: Any, references: list[SchemaReference] | None = None
) -> Iterator[int]:
    """Register a schema for one test, and yield its id."""
    yield client.register_schema(subject, Schema(json.dumps(schema), "AVRO", references or []))
    client.delete_subject(subject)
    client.delete_subject(subject, permanent=True)


def test_records_decode_by_the_schemas_of_a_real_registry(endpoints: Endpoints, client: SchemaRegistryClient) -> None:
    decoder = Decoder({TOPIC: ORDERS}, SchemaRegistry.at(endpoints.schema_registry))
    with registered(client, f"test.{uuid.uuid4()}", envelope_schema()) as schema_id:
        (row,) = rows(decoder.decode(batch([framed(change("c", after=ROW), schema_id=schema_id)])))
    assert (row["after"]["id"], row["after"]["total"]) == (42, "12.30")


def test_references_between_the_schemas_of_a_real_registry_are_followed(
    endpoints: Endpoints, client: SchemaRegistryClient
) -> None:
    decoder = Decoder({TOPIC: ORDERS}, SchemaRegistry.at(endpoints.schema_registry))
    subject = f"test.{uuid.uuid4()}"
    referring = envelope_schema({**COLUMNS, "price": "shop.Money"})
    whole = envelope_schema({**COLUMNS, "price": MONEY})
    with (
        registered(client, f"{subject}.money", MONEY),
        registered(client, subject, referring, [SchemaReference("shop.Money", f"{subject}.money", 1)]) as schema_id,
    ):
        written = framed(change("c", after={**ROW, "price": {"cents": 1230}}), whole, schema_id)
        (row,) = rows(decoder.decode(batch([written])))
    assert row["after"]["id"] == 42


def test_a_real_registry_reports_an_unknown_schema(endpoints: Endpoints) -> None:
    with pytest.raises(UnknownSchema):
        SchemaRegistry.at(endpoints.schema_registry).schema(2**31 - 1)
