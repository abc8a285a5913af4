"""Tests of columns that may be keys, and of those that are refused by name: every PostgreSQL type with an order."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pyarrow as pa
import pytest
from psycopg import sql

from pipeline.definitions import CollectionDefinition, DocumentDefinition, ModelDefinitions, TableDefinition
from pipeline.ingest.key_text import UnfitKey, key_text
from pipeline.postgres.database import Connection, connect
from pipeline.postgres.key_columns import key_rules
from stack.endpoints import Endpoints
from tests.integration.isolated_source import own_database
from tests.integration.test_key_text import VALUES
from tests.remedies.commands import commands, statements

SCHEMA = """
CREATE EXTENSION citext; CREATE EXTENSION hstore;
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE DOMAIN code AS character(3); CREATE DOMAIN price AS double precision;
CREATE COLLATION anycase FROM "C";
CREATE TABLE words (word text COLLATE anycase PRIMARY KEY, other text);
UPDATE pg_collation SET collisdeterministic = false WHERE collname = 'anycase';
CREATE TABLE quoted ("Key" citext PRIMARY KEY);
CREATE TABLE roots (id bigint PRIMARY KEY, code code, price price, mood mood);
CREATE TABLE items (id integer PRIMARY KEY, root integer, name text, day date);
"""

ORDERED = """
SELECT pg_catalog.format_type(type.oid, NULL)
FROM pg_catalog.pg_type AS type JOIN pg_catalog.pg_opclass AS opclass
     ON opclass.opcintype = type.oid AND opclass.opcdefault
JOIN pg_catalog.pg_am AS method ON method.oid = opclass.opcmethod AND method.amname = 'btree'
WHERE type.typtype = 'b' AND type.typcategory <> 'P'
"""


@pytest.fixture(scope="module")
def database(endpoints: Endpoints) -> Iterator[Connection]:
    with own_database(endpoints, "key_columns_test") as source, connect(source.admin_url) as connection:
        connection.execute(SCHEMA)
        yield connection


def table(of: str, key: str, /, **columns: str) -> TableDefinition:
    return TableDefinition(source=f"public.{of}", key=(key,), columns=columns)


def broken(database: Connection, described: ModelDefinitions | TableDefinition) -> list[tuple[str, str]]:
    """Return the problems, and their remedies."""
    if isinstance(described, TableDefinition):
        described = ModelDefinitions(topic_prefix="cdc", tables={"one": described}, documents={})
    return [(problem, remedy) for is_broken, problem, remedy in key_rules(database, described) if is_broken]


def with_items(parent: str, **root: str) -> ModelDefinitions:
    [key] = root
    items = table("items", "id", id="integer", root="integer", name="text", day="date")
    return ModelDefinitions(
        topic_prefix="cdc",
        tables={"roots": table("roots", key, **root), "items": items},
        documents={
            "roots": DocumentDefinition(
                root="roots", collections={"items": CollectionDefinition(table="items", parent=(parent,))}
            )
        },
    )


def test_every_type_with_an_order_is_a_key_whose_text_is_tested_or_is_refused(database: Connection) -> None:
    tested = {text.partition("(")[0] + text.partition(")")[2] for text in VALUES}
    refused: set[str] = set()
    accepted: set[str] = set()
    for (name,) in database.execute(ORDERED).fetchall():
        database.execute(sql.SQL(f"CREATE TABLE one (k {name})"))
        is_refused = broken(database, table("one", "k", k=str(name)))
        (refused if is_refused else accepted).add(str(name))
        database.execute("DROP TABLE one")
    assert {"double precision", "citext", "interval", "jsonb", "money", "tsvector", "name", '"char"'} <= refused
    # PostgreSQL orders them as text and as inet.
    assert accepted == tested - {"mood", "character varying", "cidr"}


@pytest.mark.parametrize(
    ("described", "problem", "remedy"),
    [
        (
            table("words", "word", word="text"),
            '"public"."words"."word" is a key, and of type text: its collation takes texts for equal that differ',
            'ALTER TABLE "public"."words" ALTER COLUMN "word" TYPE text COLLATE "C";',
        ),
        (
            table("quoted", "Key", Key="citext"),
            '"public"."quoted"."Key" is a key, and of type citext: texts that differ in case are equal',
            'ALTER TABLE "public"."quoted" ALTER COLUMN "Key" TYPE text COLLATE "C";',
        ),
    ],
)
def test_a_column_that_cannot_be_a_key_is_named_with_what_makes_it_one(
    database: Connection, described: TableDefinition, problem: str, remedy: str
) -> None:
    [(told, what_to_do)] = broken(database, described)
    assert told == problem
    assert what_to_do.endswith(f"run: {remedy}")
    with database.transaction(force_rollback=True):
        database.execute(remedy.encode())
        [*rest] = broken(database, described)
        assert not [told for told, _ in rest if "is a key, and" in told]


def test_a_key_that_workers_refuse_is_named_by_init_with_what_makes_it_one(database: Connection) -> None:
    with pytest.raises(UnfitKey) as refused:
        key_text([pa.chunked_array([["a"]])], ["citext"])
    assert commands(refused.value.remedy) == [["init"]]
    [(problem, remedy)] = broken(database, table("quoted", "Key", Key="citext"))
    assert problem.startswith('"public"."quoted"."Key" is a key, and of type citext')
    with database.transaction(force_rollback=True):
        [statement] = statements(remedy)
        database.execute(statement.encode())
        assert broken(database, table("quoted", "Key", Key="text")) == []
    assert key_text([pa.chunked_array([["a"]])], ["text"]).to_pylist() == ["a"]


def test_domains_are_what_they_are_made_of_and_enums_their_labels(database: Connection) -> None:
    assert broken(database, table("roots", "code", code="character(3)")) == []
    assert broken(database, table("roots", "mood", mood="mood")) == []
    [(problem, _)] = broken(database, table("roots", "price", price="double precision"))
    assert problem.startswith('"public"."roots"."price" is a key, and of type double precision: 0 equals -0')


def test_a_type_that_is_declared_otherwise_is_named(database: Connection) -> None:
    [(problem, remedy)] = broken(database, table("roots", "code", code="text"))
    assert problem == '"public"."roots"."code" is a key, declared as text, and of type character(3)'
    [(name, text)] = re.findall(r'Write (\w+) = "([^"]+)" under \[tables\.one\.columns\]', remedy)
    assert broken(database, table("roots", "code", **{name: text})) == []
    assert broken(database, table("roots", "id", id="integer")) == []


def test_a_reference_has_a_type_whose_texts_are_those_of_the_key(database: Connection) -> None:
    assert broken(database, with_items("root", id="bigint")) == []
    [(problem, remedy)] = broken(database, with_items("day", id="bigint"))
    assert problem == (
        '"public"."items"."day" is of type date, and "public"."roots"."id", to which it refers, of bigint'
    )
    _, _, statement = remedy.partition("run: ")
    with database.transaction(force_rollback=True):
        database.execute(statement.encode())
        # The missing declaration is the next reported problem.
        [(_, declare)] = broken(database, with_items("day", id="bigint"))
        assert declare == 'Write day = "bigint" under [tables.items.columns] in `readmodels.toml`.'
        described = with_items("day", id="bigint")
        described.tables["items"].columns["day"] = "bigint"  # type: ignore[index]
        assert broken(database, described) == []


def test_a_column_that_is_not_there_is_another_finding(database: Connection) -> None:
    assert broken(database, table("nowhere", "id", id="bigint")) == []
    assert broken(database, table("roots", "gone", gone="bigint")) == []
