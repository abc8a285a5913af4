"""Addresses and credentials of the local servers."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Endpoints:
    """Addresses and credentials of one stack.

    Attributes:
        postgres: libpq URL of the database `orders_db` as the owner of its tables, with the password.
        postgres_admin: libpq URL of the same database as superuser, with the password.
        kafka: bootstrap server, as host:port.
        connect: URL of Kafka Connect's REST API.
        schema_registry: URL of the registry's Confluent-compatible API.
        elasticsearch: URL of the node, without a slash at its end.
        redis: URL of logical database 0.
        duckdb: the address at which a DuckDB worker serves Quack.
        duckdb_token: the token that its readers send.
        duckdb_copy: path of the published copy of the DuckDB store.
        replication_password: the password that Kafka Connect uses for the role `debezium`.
    """

    postgres: str
    postgres_admin: str
    kafka: str
    connect: str
    schema_registry: str
    elasticsearch: str
    redis: str
    duckdb: str
    duckdb_token: str
    duckdb_copy: str
    replication_password: str

    def __repr__(self) -> str:
        return f"Endpoints(kafka={self.kafka!r}, …)"

    def to_json(self) -> str:
        """Return a JSON object with one member per attribute, secrets included."""
        return json.dumps(asdict(self), indent=2)

    @classmethod
    def from_json(cls, text: str) -> Endpoints:
        """Read the output of `to_json`."""
        return cls(**json.loads(text))

    @classmethod
    def read(cls, file: Path) -> Endpoints | None:
        """Read a saved file; None if it is missing."""
        try:
            return cls.from_json(file.read_text())
        except FileNotFoundError:
            return None
