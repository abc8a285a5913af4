"""Tests of introspection on a real PostgreSQL: definitions of strangers' tables, and each refusal mended as printed."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from connectors.debezium import default_configuration
from pipeline.config import load_source_url
from pipeline.definitions import DocumentDefinition, ModelDefinitions, TableDefinition
from pipeline.invalid_config import InvalidConfig
from pipeline.postgres.capture import Capture
from pipeline.postgres.catalog import InvalidPattern, NoTableMatches, read_tables, server_version
from pipeline.postgres.database import Connection, connect
from pipeline.service_addresses import SourceSettings
from pipeline.setup.declared import declared_findings
from pipeline.setup.introspection import Introspection, introspect, to_toml
from pipeline.setup.source_plan import SourcePlan, carry_out, plan_source
from stack.endpoints import Endpoints
from tests.integration.isolated_source import own_database, own_tables
from tests.remedies.commands import statements

SCHEMA = """
CREATE SCHEMA sales;
CREATE DOMAIN sales.year AS integer CHECK (VALUE > 1900);
CREATE TYPE sales.rating AS ENUM ('G', 'PG');
CREATE TABLE sales.customers (id uuid PRIMARY KEY, name text NOT NULL, "gift-wrap" bool, born sales.year,
    grade sales.rating DEFAULT 'G', tags text[], place point, _lsn int);
CREATE TABLE sales."OrderHeader" (region text, id bigint, "customerId" uuid REFERENCES sales.customers, total numeric,
    PRIMARY KEY (region, id));
CREATE TABLE sales."OrderLine" (id int PRIMARY KEY, order_id bigint, region text, sku text, net numeric(10,2),
    gross numeric(10,2) GENERATED ALWAYS AS (net * 2) STORED,
    FOREIGN KEY (order_id, region) REFERENCES sales."OrderHeader" (id, region));
CREATE TABLE public.customers (id int PRIMARY KEY);
"""


@pytest.fixture(scope="module")
def source(endpoints: Endpoints) -> Iterator[SourceSettings]:
    with own_database(endpoints, "introspection_test") as made:
        with connect(made.url) as owner:
            owner.execute(SCHEMA)
        yield made


@pytest.fixture
def connection(source: SourceSettings) -> Iterator[Connection]:
    """Yield a connection of the owner, in a transaction that is rolled back."""
    with connect(source.url) as opened, opened.transaction(force_rollback=True):
        yield opened


def introspected(connection: Connection, *patterns: str) -> Introspection:
    return introspect(read_tables(connection, patterns), server_version(connection))


def defined(connection: Connection, *patterns: str) -> dict[str, Any]:
    return tomllib.loads(to_toml(introspected(connection, *patterns)))


def test_tables_keys_and_types_are_those_of_the_database(connection: Connection) -> None:
    tables = defined(connection, "sales.*")["tables"]
    assert tables["order_header"]["source"] == "sales.OrderHeader"
    assert tables["order_header"]["key"] == ["region", "id"]
    assert tables["order_line"]["columns"] == {
        "id": "integer",
        "order_id": "bigint",
        "region": "text",
        "sku": "text",
        "net": "numeric(10,2)",
        "gross": "numeric(10,2)",
    }
    assert tables["customers"]["columns"] == {
        "id": "uuid",
        "name": "text",
        "born": "integer",
        "grade": "sales.rating",
        "tags": "text[]",
    }
    assert tables["customers"]["exclude"] == ["gift-wrap"]


def test_a_document_contains_the_rows_that_belong_to_it_by_a_foreign_key(connection: Connection) -> None:
    documents = defined(connection, "sales.*")["documents"]
    assert documents == {
        "order_header": {
            "root": "order_header",
            "collections": {"order_line": {"table": "order_line", "parent": ["region", "order_id"]}},
        },
        "customers": {"root": "customers"},
    }


def test_what_cannot_be_captured_is_left_out_with_the_reason(connection: Connection) -> None:
    text = to_toml(introspected(connection, "sales.customers"))
    assert "# place is left out: the connector does not send 'point' whole." in text
    assert "# _lsn is left out: the read models use this name themselves." in text


def test_tables_of_one_name_get_names_of_their_own(connection: Connection) -> None:
    assert {*introspected(connection, "*.customers").tables} == {"public_customers", "sales_customers"}


def test_a_name_from_the_database_cannot_end_a_comment_or_a_string(connection: Connection) -> None:
    connection.execute('CREATE TABLE sales."a""\n[x]" (id int PRIMARY KEY, "b""\n=1" point, "c""d" int)')
    found = defined(connection, 'sales."a*"')
    assert found["tables"]["a_x"]["source"] == 'sales.a"\n[x]'
    assert {*found} == {"topic_prefix", "tables", "documents"}


@pytest.mark.parametrize(
    ("table", "accepted"),
    [
        ("CREATE TABLE sales.odd (id int NOT NULL); CREATE UNIQUE INDEX odd_id ON sales.odd (id)", True),
        ("CREATE UNLOGGED TABLE sales.odd (id int PRIMARY KEY)", True),
        ("CREATE TABLE sales.odd (id int)", False),
        ("CREATE VIEW sales.odd AS SELECT 1 AS id", False),
        ("CREATE TABLE sales.odd (id int PRIMARY KEY, v int GENERATED ALWAYS AS (id) VIRTUAL)", False),
        ("CREATE TABLE sales.odd (id int PRIMARY KEY) PARTITION BY RANGE (id)", False),
        ("CREATE TABLE sales.odd (id int PRIMARY KEY); CREATE TABLE sales.heir () INHERITS (sales.odd)", False),
        ("CREATE TABLE sales.odd (id jsonb PRIMARY KEY)", False),
    ],
)
def test_a_table_that_cannot_be_captured_is_left_out_until_its_remedy_is_carried_out(
    connection: Connection, table: str, accepted: bool
) -> None:
    connection.execute(table.encode())
    [(_, reason, remedy)] = introspected(connection, "sales.odd").left_out
    assert reason
    assert f"# sales.odd is left out: {reason}. {remedy}" in to_toml(introspected(connection, "sales.odd"))
    for statement in statements(remedy) if accepted else ():
        connection.execute(statement.encode())
    assert ("odd" in introspected(connection, "sales.odd").tables) is accepted


def test_a_pattern_is_corrected_as_its_remedy_says(connection: Connection) -> None:
    with pytest.raises(InvalidPattern) as unreadable:
        read_tables(connection, [""])
    assert "`schema.*`" in unreadable.value.remedy
    with pytest.raises(NoTableMatches, match=r"sales\.orderheader") as missing:
        read_tables(connection, ["sales.orderheader"])
    assert "case matters" in missing.value.remedy
    assert [one.name for one in read_tables(connection, ['sales."OrderHeader"', "sales.OrderH*"])] == ["OrderHeader"]


def test_the_address_is_read_without_a_file_and_its_absence_names_the_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "readmodels.toml"
    with pytest.raises(InvalidConfig) as unset:
        load_source_url(file, {})
    [variable] = [word for word in unset.value.remedy.split() if word.startswith("READMODELS_")]
    monkeypatch.setenv(variable, "postgresql://u:p@h/db")
    assert load_source_url(file, {}) == "postgresql://u:p@h/db"
    file.write_text("no = toml = at all")
    with pytest.raises(InvalidConfig) as broken:
        load_source_url(file, {})
    assert broken.value.remedy == f"Correct {file}, or move it away."
    file.unlink()
    assert load_source_url(file, {})


TOTAL = {"region": "text", "id": "bigint", "total": "numeric"}
HEADER = TableDefinition(source="sales.OrderHeader", key=("region", "id"), columns=TOTAL)


@pytest.mark.parametrize(
    ("declared", "corrected"),
    [
        ({"key": ("id",)}, {"key": ("region", "id")}),
        ({"columns": {**TOTAL, "id": "integer"}}, {"columns": TOTAL}),
        ({"columns": {**TOTAL, "region": "integer"}}, {"columns": TOTAL}),
        ({"columns": {**TOTAL, "gone": "text"}}, {"columns": TOTAL}),
    ],
)
def test_a_declaration_that_differs_from_the_database_is_refused_until_it_is_corrected(
    connection: Connection, declared: dict[str, Any], corrected: dict[str, Any]
) -> None:
    def found(table: TableDefinition) -> list[str]:
        definitions = ModelDefinitions(topic_prefix="t", tables={"h": table}, documents={})
        return [one.remedy for one in declared_findings(connection, definitions)]

    [remedy] = found(replace(HEADER, **declared))
    assert "readmodels.toml" in remedy
    assert "[tables.h" in remedy
    assert found(replace(HEADER, **declared, **{k: v for k, v in corrected.items() if k not in declared})) == [remedy]
    assert found(replace(HEADER, **corrected)) == []


def test_a_parent_is_not_captured_in_place_of_the_tables_that_inherit_from_it(connection: Connection) -> None:
    connection.execute("CREATE TABLE sales.parent (id int PRIMARY KEY)")
    connection.execute("CREATE TABLE sales.heir (PRIMARY KEY (id)) INHERITS (sales.parent)")

    def found(name: str) -> list[str]:
        table = TableDefinition(source=f"sales.{name}", key=("id",), columns={"id": "integer"})
        definitions = ModelDefinitions(topic_prefix="t", tables={name: table}, documents={})
        return [one.remedy for one in declared_findings(connection, definitions)]

    assert found("parent") == [
        "Take [tables.parent] out of readmodels.toml, and declare the tables that inherit from it."
    ]
    assert found("heir") == []


def plan(source: SourceSettings, **changes: Any) -> SourcePlan:
    tables = {"customers": TableDefinition(source="sales.customers", key=("id",), columns={"id": "uuid"}, **changes)}
    documents = {"customers": DocumentDefinition(root="customers")}
    definitions = ModelDefinitions(topic_prefix="t", tables=tables, documents=documents)
    connector = default_configuration().with_tables(["sales.customers"])
    if "exclude" in changes:
        connector = connector.with_settings({"column.exclude.list": r"sales\.customers\.gift-wrap"})
    return plan_source(source, Capture(connector, source.replication_role, {}, definitions))


def test_a_name_that_avro_does_not_allow_is_refused_until_the_column_is_excluded(source: SourceSettings) -> None:
    [refused] = plan(source).refusals
    assert 'Add "gift-wrap" to `exclude`' in refused.remedy
    assert plan(source, exclude=("gift-wrap",)).refusals == ()


def test_rows_that_a_policy_hides_are_captured_by_a_role_that_may_bypass_it(endpoints: Endpoints) -> None:
    with own_tables(endpoints, "secured_test") as source, connect(source.url) as owner:
        owner.execute("ALTER TABLE orders ENABLE ROW LEVEL SECURITY")
        capture = Capture(default_configuration(), source.replication_role)
        planned = plan_source(source, capture)
        assert f"ALTER ROLE {source.replication_role} BYPASSRLS;" in [one.text for one in planned.statements]
        planned.require_possible()
        carry_out(source, planned.statements)
        assert plan_source(source, capture) == SourcePlan((), ())


def test_a_plan_changes_nothing(source: SourceSettings) -> None:
    before = plan(source)
    assert before.statements
    assert plan(source) == before
