"""Fixtures with the database of the type catalogue, and its rows both as stored and as sent by a connector."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from redis import Redis

from connectors.decode.decoder import Decoder
from pipeline.postgres.database import Connection, connect
from pipeline.verify.source.reader import SourceReader, open_source_reader
from stack.endpoints import Endpoints
from tests.golden.recording import recording
from tests.integration.type_catalogue import catalogue_database
from tests.support.redis_server import shared_server


@pytest.fixture(scope="module")
def url(endpoints: Endpoints, request: pytest.FixtureRequest) -> Iterator[str]:
    """Yield the owner's URL of a database that the module names as `NAME`."""
    with catalogue_database(endpoints, request.module.NAME) as made:
        yield made


@pytest.fixture
def source(url: str) -> Iterator[SourceReader]:
    """Yield the database as `verify` reads it."""
    with open_source_reader(url) as side:
        yield side


@pytest.fixture
def writer(url: str) -> Iterator[Connection]:
    """Yield a connection that changes the database during the test."""
    with connect(url) as connection:
        yield connection


@pytest.fixture(scope="module")
def envelopes() -> pa.Table:
    """Return the rows of the catalogue as a real connector sent them in its first snapshot."""
    recorded = recording("avro")
    (found,) = Decoder({recorded.records.topic: recorded.table}, recorded).decode(recorded.records).envelopes
    return found.filter(pc.equal(found["op"], "r"))


@pytest.fixture
def redis() -> Iterator[Redis]:
    """Yield an empty server, as its readers reach it."""
    with shared_server().client() as reader:
        reader.flushall()
        yield reader
