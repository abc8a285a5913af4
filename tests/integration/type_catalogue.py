"""A source database with a value of every type, and rows whose keys have several columns."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.definitions import DocumentDefinition, ModelDefinitions, TableDefinition
from pipeline.postgres.database import connect
from stack.endpoints import Endpoints
from tests.golden.catalogue import COLUMNS, SCHEMA, TABLE, VARIANTS
from tests.integration.isolated_source import own_database

CATALOGUE = ModelDefinitions(
    topic_prefix="cdc",
    tables={"catalogue": TableDefinition(source=TABLE, key=("id",), columns=COLUMNS)},
    documents={"catalogue": DocumentDefinition(root="catalogue")},
)
FLEET = """
CREATE SCHEMA fleet;
CREATE TABLE fleet.ships (flag text, number integer, name text, crew jsonb, seen_at timestamptz,
                          PRIMARY KEY (flag, number));
CREATE TABLE fleet.cargo (number bigint, slot text, flag text, ship integer, tons numeric(8, 3),
                          PRIMARY KEY (number, slot));
INSERT INTO fleet.ships VALUES ('P:A', 7, 'Æolus', '{"mate": 1.10}', '2026-01-02 03:04:05.000006+00'),
                               ('C\\L', -3, NULL, 'null', '-infinity');
INSERT INTO fleet.cargo VALUES (10, 'b', 'P:A', 7, 1.5), (9, 'Z', 'P:A', 7, NULL), (10, 'B', 'P:A', 7, 'NaN'),
                               (1, 'a', 'P:A', 8, 1), (2, 'a', NULL, 7, 1);
"""


@contextmanager
def catalogue_database(endpoints: Endpoints, name: str) -> Iterator[str]:
    """Yield a database of this name with the catalogue and the fleet; remove it afterwards."""
    with own_database(endpoints, name) as source:
        with connect(source.admin_url) as admin:
            admin.execute(SCHEMA)
        with connect(source.url) as connection:
            columns = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
            connection.execute(f"CREATE TABLE {TABLE} ({columns}, PRIMARY KEY (id))".encode())
            for row_id, row in enumerate(VARIANTS["avro"].rows, 1):
                insert = f"INSERT INTO {TABLE} (id, {', '.join(row)}) VALUES ({row_id}, {', '.join(row.values())})"
                connection.execute(insert.encode())
            connection.execute(FLEET)
        yield source.url
