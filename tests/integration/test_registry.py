"""Schemas of a real registry, asked for as records name them."""

import json
import uuid
from collections.abc import Iterator

import pytest
from confluent_kafka.schema_registry import Schema, SchemaReference, SchemaRegistryClient

from connectors.decode import Decoder
from connectors.errors import UnknownSchema
from connectors.registry import SchemaRegistry
from stack.endpoints import Endpoints
from tests.unit.change_records import COLUMNS, ORDERS, ROW, TOPIC, batch, change, envelope_schema, framed, rows

MONEY = {"type": "record", "name": "shop.Money", "fields": [{"name": "cents", "type": "long"}]}


@pytest.fixture
def client(endpoints: Endpoints) -> Iterator[SchemaRegistryClient]:
    with SchemaRegistryClient({"url": endpoints.schema_registry}) as client:
        yield client


@pytest.fixture
def subject(client: SchemaRegistryClient) -> Iterator[str]:
    """A name under which schemas are registered for one test."""
    name = f"test.{uuid.uuid4()}"
    yield name
    for subject in sorted(client.get_subjects(name)):
        client.delete_subject(subject)


def test_records_decode_by_the_schemas_of_a_real_registry(
    endpoints: Endpoints, client: SchemaRegistryClient, subject: str
) -> None:
    schema_id = client.register_schema(subject, Schema(json.dumps(envelope_schema()), "AVRO"))
    decoder = Decoder({TOPIC: ORDERS}, SchemaRegistry.at(endpoints.schema_registry))
    (row,) = rows(decoder.decode(batch([framed(change("c", after=ROW), schema_id=schema_id)])))
    assert (row["after"]["id"], row["after"]["total"]) == (42, "12.30")


def test_references_between_the_schemas_of_a_real_registry_are_followed(
    endpoints: Endpoints, client: SchemaRegistryClient, subject: str
) -> None:
    client.register_schema(f"{subject}.money", Schema(json.dumps(MONEY), "AVRO"))
    reference = SchemaReference("shop.Money", f"{subject}.money", 1)
    schema = envelope_schema({**COLUMNS, "price": "shop.Money"})
    schema_id = client.register_schema(subject, Schema(json.dumps(schema), "AVRO", [reference]))
    written = framed(
        change("c", after={**ROW, "price": {"cents": 1230}}), envelope_schema({**COLUMNS, "price": MONEY}), schema_id
    )
    decoder = Decoder({TOPIC: ORDERS}, SchemaRegistry.at(endpoints.schema_registry))
    (row,) = rows(decoder.decode(batch([written])))
    assert row["after"]["id"] == 42


def test_a_real_registry_says_that_it_does_not_know_a_schema(endpoints: Endpoints) -> None:
    with pytest.raises(UnknownSchema):
        SchemaRegistry.at(endpoints.schema_registry).schema(2**31 - 1)
