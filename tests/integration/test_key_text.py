"""Tests of the text of keys, as PostgreSQL, Arrow and DuckDB write it, against PostgreSQL's own equality."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import duckdb
import pyarrow as pa
import pytest
from psycopg import sql

from pipeline.definitions import TableDefinition
from pipeline.ingest.json_text import rows_to_json
from pipeline.ingest.key_text import key_type
from pipeline.postgres.database import Connection, connect
from pipeline.table_view import whole_table
from pipeline.verify.json_value import parsed
from pipeline.verify.readers.row_key import columns_of_shown, key_of_shown
from pipeline.verify.source.row_images import image_columns, images
from sinks.duckdb.special_values import with_special
from sinks.duckdb.types import cast_expression
from sinks.pg_type import parse_pg_type
from stack.endpoints import Endpoints
from tests.integration.isolated_source import own_database
from tests.support.checkout import CHECKOUT

PAGE = CHECKOUT / "docs" / "operations" / "verify.md"

VALUES: Mapping[str, tuple[str, ...]] = {
    "smallint": ("-32768", "32767", "0"),
    "integer": ("-2147483648", "2147483647", "0"),
    "bigint": ("-9223372036854775808", "9223372036854775807", "0", "10"),
    "oid": ("0", "4294967295"),
    "numeric": ("1", "1.0", "1.00", "-1.500", "0.00", "-0.0", "100", "1e30", "1e-30", "NaN", "Infinity", "-Infinity"),
    "numeric(10,2)": ("1", "1.5", "99999999.99", "-0.01", "100", "NaN"),
    "numeric(10,0)": ("1", "100", "-5"),
    "boolean": ("true", "false"),
    "text": ("", " ", "a", "a ", " a", "A", "a:b", "a\\b", "a\nb", "é", "e\u0301", "😀", '"', "'"),
    "character varying(5)": ("", "a", "a "),
    "character(5)": ("", "a", "a ", " a", "abcde", "a\t"),
    "uuid": ("00000000-0000-0000-0000-000000000000", "FFFFFFFF-ffff-ffff-ffff-ffffffffffff"),
    "bytea": ("", r"\x00ff5c3a", r"\x41", "A"),
    "bit(1)": ("0", "1"),
    "bit(5)": ("00000", "10101"),
    "inet": ("10.0.0.1", "10.0.0.1/32", "10.0.0.1/8", "::1", "::ffff:1.2.3.4", "fe80::1/64"),
    "cidr": ("10.0.0.0/8", "10.0.0.1/32", "::/0"),
    "macaddr": ("08:00:2b:01:02:03", "ff-ff-ff-ff-ff-ff"),
    "macaddr8": ("08:00:2b:01:02:03:04:05", "08:00:2b:ff:fe:01:02:03"),
    "date": (
        "4713-11-24 BC",
        "0044-03-15 BC",
        "0001-12-31 BC",
        "0001-01-01",
        "9999-12-31",
        "10000-01-01",
        "5874897-12-31",
        "infinity",
        "-infinity",
        "2026-01-02",
    ),
    "time without time zone": ("00:00", "24:00", "23:59:59.999999"),
    "timestamp without time zone": (
        "4713-11-24 BC",
        "0044-03-15 01:02:03.000004 BC",
        "0001-12-31 BC",
        "0001-01-01",
        "9999-12-31 23:59:59.999999",
        "10000-01-01",
        "294246-12-31",
        "294276-12-31 23:59:59.999999",
        "294247-01-10 04:00:54.775807",
        "infinity",
        "-infinity",
        "2026-01-02 03:04:05.6",
    ),
    "timestamp with time zone": (
        "4713-11-24+00 BC",
        "0001-12-31 23:00-01 BC",
        "0001-01-01+00",
        "10000-01-01+00",
        "294246-12-31+00",
        "294276-12-31 23:59:59.999999+00",
        "infinity",
        "-infinity",
        "2026-01-02 03:04:05+05",
        "2026-01-01 22:04:05+00",
    ),
    "timestamp(0) with time zone": ("2026-01-02 03:04:05+05",),
    "mood": ("sad", "happy ☺", "a:b"),
}
"""Values of every type that may be a key: the ends of its range, and pairs that are equal or nearly so."""

NOT_IN_DUCKDB = {
    "294276-12-31 23:59:59.999999",
    "294247-01-10 04:00:54.775807",
    "294276-12-31 23:59:59.999999+00",
}
"""Keys that the DuckDB sink refuses."""

SCHEMA = "CREATE TYPE mood AS ENUM ('sad', 'happy ☺', 'a:b')"


@pytest.fixture(scope="module")
def database(endpoints: Endpoints) -> Iterator[Connection]:
    with own_database(endpoints, "key_text_test") as source, connect(source.url) as connection:
        connection.execute(SCHEMA)
        yield connection


def documented() -> list[tuple[str, str, str]]:
    """Return type, value and text of every line of the table of keys in the documents."""
    lines = re.findall(r"^\| (`.*) \| `(.*)` \| `(.*)` \|$", PAGE.read_text(), re.MULTILINE)
    return [(name, value, text) for names, value, text in lines for name in re.findall(r"`(\w+)`", names)]


def values_of(text: str, alias: str = "image") -> sql.Composed:
    rows = sql.SQL(", ").join(
        sql.SQL(f"({place}, {{}}::{text})").format(sql.Literal(value)) for place, value in enumerate(VALUES[text])
    )
    return sql.SQL("(VALUES {}) AS {} (place, k)").format(rows, sql.Identifier(alias))


def from_postgresql(database: Connection, text: str) -> list[object]:
    written = sql.SQL(key_type(text).postgresql).format(c=sql.Identifier("image", "k"))
    query = sql.SQL("SELECT {} FROM {} ORDER BY place").format(written, values_of(text))
    return [row[0] for row in database.execute(query)]


def as_columns(database: Connection, text: str) -> pa.Array:
    table = TableDefinition(source="public.keys", key=("k",), columns={"k": text})
    query = sql.SQL("SELECT {} FROM {} ORDER BY place").format(image_columns(table, "image")[0], values_of(text))
    return images(table, database.execute(query).fetchall()).field(0)


@pytest.mark.parametrize("text", VALUES)
def test_postgresql_arrow_and_duckdb_write_a_key_alike(database: Connection, text: str) -> None:
    column = as_columns(database, text)
    held = from_postgresql(database, text)
    assert key_type(text).arrow(column).to_pylist() == held
    with duckdb.connect() as connection:
        connection.register("incoming", with_special(pa.table({"k": column}), {"k": text}))
        shown = key_type(text).duckdb.replace("{c}", "k")
        found = connection.execute(
            f"SELECT {shown} FROM (SELECT {cast_expression('k', text)} AS k FROM incoming)"
        ).fetchall()
    assert [row[0] for row in found] == [
        None if value in NOT_IN_DUCKDB else key for value, key in zip(VALUES[text], held, strict=True)
    ]


@pytest.mark.parametrize("text", VALUES)
def test_the_text_of_a_key_is_found_again_in_what_a_document_shows(database: Connection, text: str) -> None:
    table = TableDefinition(source="public.keys", key=("k",), columns={"k": text})
    rows = pa.StructArray.from_arrays([as_columns(database, text)], names=["k"])
    shown = [parsed(row) for row in rows_to_json(rows, {"k": text}).to_pylist()]
    assert [key_of_shown(fields, whole_table("things", table)) for fields in shown] == from_postgresql(database, text)
    assert [columns_of_shown(fields, table) for fields in shown] == [
        {"k": written} for written in from_postgresql(database, text)
    ]


@pytest.mark.parametrize("text", VALUES)
def test_two_keys_have_one_text_exactly_where_postgresql_takes_them_for_equal(database: Connection, text: str) -> None:
    written = from_postgresql(database, text)
    query = sql.SQL("SELECT one.place, other.place, one.k = other.k FROM {}, {}").format(
        values_of(text, "one"), values_of(text, "other")
    )
    pairs: list[tuple[int, int, bool]] = database.execute(query).fetchall()  # type: ignore[assignment]
    wrong = [
        (VALUES[text][one], VALUES[text][other])
        for one, other, is_equal in pairs
        if (written[one] == written[other]) is not is_equal
    ]
    assert wrong == []


@pytest.mark.parametrize("text", VALUES)
def test_the_text_of_a_key_is_read_back_as_the_value_that_it_names(database: Connection, text: str) -> None:
    for place, written in enumerate(from_postgresql(database, text)):
        literal = sql.Literal(key_type(text).literal(str(written)))
        query = sql.SQL("SELECT k = {} FROM {} WHERE place = {}").format(literal, values_of(text), place)
        assert database.execute(query).fetchall() == [(True,)], written


def test_the_page_about_keys_matches_the_stored_keys(database: Connection) -> None:
    said = {name: text for name, _, text in documented()}
    written = {}
    for name, value, _ in documented():
        kind = {"bit": "bit(3)", "char": "char(5)"}.get(name, name)
        query = sql.SQL(f"SELECT {key_type(name).postgresql} FROM (SELECT {{}}::{kind} AS k) AS image").format(
            sql.Literal(value), c=sql.Identifier("k")
        )
        [(written[name],)] = database.execute(query).fetchall()
    assert written == said
    assert {parse_pg_type(text).name for text in VALUES} == {*said, "mood"}
