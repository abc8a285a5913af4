"""Tests that types and values unsupported by the connector are refused before the log begins, by table and column."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from connectors.errors import UnsupportedType
from connectors.types.pg_types import parse_column_type
from pipeline.definitions import ModelDefinitions, TableDefinition
from pipeline.postgres.database import Connection, connect
from pipeline.postgres.preconditions import SourceNotReady
from pipeline.postgres.unsendable import require_sendable, unsendable
from stack.endpoints import Endpoints
from tests.integration.isolated_source import own_database
from tests.values.extremes import COLUMNS

_OWN_TYPES = """
    SELECT format_type(type.oid, NULL) FROM pg_type AS type
    WHERE typnamespace = 'pg_catalog'::regnamespace AND typtype IN ('b', 'r', 'm') AND typcategory <> 'A'
      AND typname !~ '^(pg_(node_tree|ndistinct|dependencies|mcv_list|brin.*)|aclitem|refcursor)$'"""


@pytest.fixture(scope="module")
def connection(endpoints: Endpoints) -> Iterator[Connection]:
    with own_database(endpoints, "unsendable_test") as source, connect(source.url) as made:
        made.execute("CREATE TYPE place AS (x int, y int); CREATE TYPE mood AS ENUM ('sad')")
        made.execute("CREATE TYPE floats AS RANGE (subtype = float8)")
        yield made


def described(columns: dict[str, str]) -> ModelDefinitions:
    """Return definitions of one table with these columns."""
    return ModelDefinitions(
        topic_prefix="cdc",
        tables={"held": TableDefinition(source="public.held", key=("id",), columns={"id": "bigint"} | columns)},
        documents={},
    )


def refused(connection: Connection, type_name: str, *values: str) -> list[str]:
    """Return the problems of a table with a column `v` of a type, and rows with these values."""
    connection.execute("DROP TABLE IF EXISTS held")
    connection.execute(f"CREATE TABLE held (id bigint PRIMARY KEY, v {type_name})".encode())
    for number, value in enumerate(values):
        connection.execute(f"INSERT INTO held VALUES (%s, %s::text::{type_name})".encode(), (number, value))
    return [finding.problem for finding in unsendable(connection, described({"v": type_name}))]


@pytest.mark.parametrize(
    "type_name", ["pg_lsn", "point", "int4multirange", "bit varying(3)", "place", "floats", "money[]"]
)
def test_a_type_that_is_not_sent_is_refused_by_table_column_and_type(connection: Connection, type_name: str) -> None:
    [problem] = refused(connection, type_name)
    assert problem.startswith(f"public.held.v {type_name}: ")


@pytest.mark.parametrize("type_name", ["mood", "mood[]", "place[]", "numeric[]", "date", "interval", "timestamptz"])
def test_a_type_that_is_sent_is_not_refused(connection: Connection, type_name: str) -> None:
    assert refused(connection, type_name) == []


@pytest.mark.parametrize(
    ("type_name", "value"),
    [("interval", "infinity"), ("interval", "-infinity"), ("interval", "-2147483648:00:00"), ("date", "1582-10-05")],
)
def test_a_value_that_would_be_lost_is_refused(connection: Connection, type_name: str, value: str) -> None:
    assert len(refused(connection, type_name, value)) == 1
    assert refused(connection, type_name, "epoch" if type_name == "date" else "0") == []


def test_a_timestamp_that_duckdb_has_not_is_refused_in_a_key_until_its_row_is_gone(connection: Connection) -> None:
    connection.execute("DROP TABLE IF EXISTS held")
    connection.execute("CREATE TABLE held (id timestamptz PRIMARY KEY, other timestamptz)")
    connection.execute("INSERT INTO held VALUES ('infinity', '294276-12-31+00')")
    columns = {"id": "timestamp with time zone", "other": "timestamp with time zone"}
    require_sendable(connection, described(columns))
    connection.execute("INSERT INTO held VALUES ('294247-01-10 04:00:54.775807+00')")
    with pytest.raises(SourceNotReady, match=r"public\.held\.id timestamp with time zone: it holds") as error:
        require_sendable(connection, described(columns))
    assert error.value.remedy == "Change or delete these rows, or take public.held out of `readmodels.toml`."
    connection.execute("DELETE FROM held WHERE id > '294247-01-10' AND id < 'infinity'")
    require_sendable(connection, described(columns))


def test_leaving_the_column_out_is_enough(connection: Connection) -> None:
    refused(connection, "interval", "infinity")
    with pytest.raises(SourceNotReady) as error:
        require_sendable(connection, described({"v": "interval"}))
    assert error.value.remedy == "Leave v out of the columns of public.held in `readmodels.toml`."
    require_sendable(connection, described({}))


def test_every_type_of_postgresql_is_among_the_extremes_or_refused(connection: Connection) -> None:
    known = {text.partition("(")[0] + text.partition(")")[2] for text in COLUMNS.values()}
    for (text,) in connection.execute(_OWN_TYPES).fetchall():
        name = str(text)
        if name not in known and name not in ("bit", "character", "xml"):
            with pytest.raises(UnsupportedType):
                parse_column_type(name)
