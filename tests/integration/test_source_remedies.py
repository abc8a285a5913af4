"""Tests of the remedies of the source, carried out verbatim on a real PostgreSQL: problem, printed text, solution."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from psycopg.pq import ExecStatus

from connectors.debezium import default_configuration
from pipeline.definitions import TableDefinition
from pipeline.postgres import database
from pipeline.postgres.capture import Capture, read_source
from pipeline.postgres.database import Connection, InsufficientPrivilege, SourceError, SourceUnavailable
from pipeline.postgres.incremental_snapshot import (
    SnapshotRefused,
    SnapshotUnsupported,
    require_no_generated_columns,
)
from pipeline.postgres.preconditions import PreconditionFailure, findings
from pipeline.postgres.replication import SlotInUse, drop_slot, read_slot
from pipeline.postgres.row_estimate import InvalidCondition, estimate_rows
from pipeline.service_addresses import SourceSettings
from pipeline.setup import source as setup
from pipeline.setup.source import init_steps
from pipeline.setup.source_plan import SourcePlan, plan_source, script
from pipeline.setup.source_plan import carry_out as run_statements
from pipeline.stores.read_model import ModelKind
from pipeline.table_view import whole_table
from pipeline.verify.comparison_set import ComparisonSet
from pipeline.verify.source.reader import InvalidSince, open_source_reader
from stack.endpoints import Endpoints
from tests.integration.isolated_source import own_database, own_deployment, own_shop, own_tables
from tests.remedies.commands import commands, settings, statements

CONFIGURATION = default_configuration().with_settings({"slot.name": "source_remedies"})
ROLE = "source_remedies_replication"
CAPTURE = Capture(CONFIGURATION, ROLE, {"public.orders": {"id", "note", "half"}})


@pytest.fixture(scope="module")
def source(endpoints: Endpoints) -> Iterator[SourceSettings]:
    with own_shop(endpoints, "source_remedies") as made:
        yield made


@pytest.fixture
def admin(source: SourceSettings) -> Iterator[Connection]:
    """Yield a connection of a superuser, in a transaction that is rolled back."""
    with database.connect(source.admin_url) as opened, opened.transaction(force_rollback=True):
        yield opened


def found(connection: Connection, capture: Capture = CAPTURE) -> list[PreconditionFailure]:
    return findings(read_source(connection, capture), capture)


def carry_out(connection: Connection, remedy: str) -> None:
    """Execute the statements of a remedy."""
    given = statements(remedy)
    assert given, remedy
    for statement in given:
        connection.execute(statement.encode())


@pytest.mark.parametrize(
    ("change", "blanks"),
    [
        ("ALTER TABLE orders REPLICA IDENTITY DEFAULT", []),
        ("ALTER TABLE orders ENABLE ROW LEVEL SECURITY", []),
        ("ALTER TABLE order_items DROP CONSTRAINT order_items_pkey", ["id"]),
        (
            "ALTER TABLE order_items DROP CONSTRAINT order_items_pkey, ADD PRIMARY KEY (id) DEFERRABLE",
            ["order_items_pkey", "id"],
        ),
        ("ALTER PUBLICATION readmodels SET (publish = 'insert, update')", []),
        ("ALTER PUBLICATION readmodels SET TABLE orders WHERE (id > 5), order_items, readmodels.signal", []),
        ("ALTER PUBLICATION readmodels DROP TABLE readmodels.signal", []),
    ],
)
def test_a_source_is_ready_once_the_statements_of_the_remedy_are_executed(
    admin: Connection, change: str, blanks: list[str]
) -> None:
    assert found(admin) == []
    admin.execute(change.encode())
    [finding] = found(admin)
    remedy = finding.remedy
    for word in blanks:
        remedy = remedy.replace("…", word, 1)
    carry_out(admin, remedy)
    assert found(admin) == []


def test_a_publication_that_is_gone_is_made_by_init(source: SourceSettings, endpoints: Endpoints) -> None:
    with closing(database.connect(source.admin_url)) as connection:
        connection.execute("DROP PUBLICATION readmodels")
        [finding] = found(connection)
        assert commands(finding.remedy) == [["init"]]
        steps = init_steps(own_deployment(endpoints, "source_remedies", source))
        setup.run_steps([step for step in steps if step.name == "source"], lambda *_: None)
        assert found(connection) == []


def test_an_unlogged_table_is_logged_and_a_partitioned_one_captured_by_its_partitions(admin: Connection) -> None:
    admin.execute("ALTER PUBLICATION readmodels DROP TABLE orders")
    admin.execute("ALTER TABLE orders SET UNLOGGED")
    [finding] = [one for one in found(admin) if "not an ordinary logged table" in one.problem]
    carry_out(admin, finding.remedy)
    assert not [one for one in found(admin) if "not an ordinary logged table" in one.problem]
    admin.execute("CREATE TABLE parted (id int PRIMARY KEY) PARTITION BY RANGE (id)")
    admin.execute("CREATE TABLE part PARTITION OF parted DEFAULT")
    assert "name its partitions in readmodels.toml" in finding.remedy
    for name, is_refused in (("parted", True), ("part", False)):
        capture = replace(
            CAPTURE, connector=CONFIGURATION.with_settings({"table.include.list": f"public.{name}"}), columns={}
        )
        is_found = [one for one in found(admin, capture) if "not an ordinary logged table" in one.problem]
        assert bool(is_found) is is_refused


def test_a_missing_table_is_created_or_removed_from_the_definitions(admin: Connection) -> None:
    admin.execute("ALTER TABLE order_items RENAME TO elsewhere")
    [finding] = found(admin)
    assert finding.remedy == "Create public.order_items, or take it out of readmodels.toml."
    without = replace(CAPTURE, connector=CONFIGURATION.with_settings({"table.include.list": "public.orders"}))
    assert found(admin, without) == []
    admin.execute("ALTER TABLE elsewhere RENAME TO order_items")
    assert found(admin) == []


def test_a_generated_column_is_removed_from_the_definitions(admin: Connection) -> None:
    admin.execute("ALTER TABLE orders ADD half numeric GENERATED ALWAYS AS (total / 2) VIRTUAL")
    [finding] = [one for one in found(admin) if "half is generated" in one.problem]
    [(column, table)] = re.findall(r"Take (\w+) out of the columns of (\S+) in readmodels\.toml", finding.remedy)
    columns = {table: CAPTURE.columns[table] - {column}}  # type: ignore[operator]
    left = found(admin, replace(CAPTURE, columns=columns))
    assert not [one for one in left if "half is generated" in one.problem]


def test_a_stored_generated_column_is_published_and_then_captured(admin: Connection) -> None:
    admin.execute("ALTER TABLE orders ADD half numeric GENERATED ALWAYS AS (total / 2) STORED")
    [finding] = [one for one in found(admin) if "half is generated" in one.problem]
    carry_out(admin, finding.remedy)
    assert found(admin) == []


def test_a_table_with_a_generated_column_is_read_again_by_a_new_epoch_only(admin: Connection) -> None:
    require_no_generated_columns(admin, CONFIGURATION, ["public.orders"])
    admin.execute("ALTER TABLE orders ADD half numeric GENERATED ALWAYS AS (total / 2) STORED")
    with pytest.raises(SnapshotUnsupported, match=r"generated columns again: public\.orders\.half") as refused:
        require_no_generated_columns(admin, CONFIGURATION, ["public.orders", "public.order_items"])
    assert "`readmodels epoch open --resnapshot --execute`" in refused.value.remedy
    excluding = CONFIGURATION.with_settings({"column.exclude.list": r"public\.orders\.half"})
    require_no_generated_columns(admin, excluding, ["public.orders"])


def test_a_database_of_another_encoding_gives_way_to_one_that_the_remedy_creates(endpoints: Endpoints) -> None:
    with own_database(endpoints, "latin_remedies", encoding="LATIN1") as own:
        with database.connect(own.url) as opened:
            [finding] = [one for one in found(opened) if "encoding is LATIN1" in one.problem]
        assert settings(finding.remedy) == [("source", "url"), ("source", "admin_url")]
        [create] = statements(finding.remedy)
        with database.connect(own.admin_url) as admin:
            admin.execute(create.replace("…", "utf8_remedies").encode())
            try:
                with database.connect(make_conninfo(own.admin_url, dbname="utf8_remedies")) as opened:
                    assert not [one for one in found(opened) if "encoding" in one.problem]
            finally:
                admin.execute("DROP DATABASE utf8_remedies WITH (FORCE)")


def test_a_slot_is_dropped_once_the_session_that_reads_it_is_ended(source: SourceSettings) -> None:
    with database.connect(source.admin_url) as admin:
        admin.execute("SELECT pg_create_logical_replication_slot('source_remedies', 'pgoutput')")
        with reading("source_remedies", source.admin_url):
            with pytest.raises(SlotInUse) as refused:
                drop_slot(admin, "source_remedies", 0.0)
            [query] = re.findall(r"SELECT pg_terminate_backend[^;]+;", refused.value.remedy)
            admin.execute(query.encode())
            assert drop_slot(admin, "source_remedies", 30.0)
        assert read_slot(admin, "source_remedies") is None


def reading(slot: str, url: str) -> closing[psycopg.Connection[tuple[object, ...]]]:
    """Return a session that streams from a slot until it is closed."""
    connection = psycopg.connect(make_conninfo(url, replication="database"), autocommit=True)
    streaming = f"START_REPLICATION SLOT {slot} LOGICAL 0/0 (proto_version '1', publication_names 'readmodels')"
    connection.pgconn.send_query(streaming.encode())
    streams = connection.pgconn.get_result()
    assert streams is not None
    assert streams.status == ExecStatus.COPY_BOTH
    return closing(connection)


def test_a_source_answers_once_its_address_is_corrected(source: SourceSettings) -> None:
    with pytest.raises(SourceUnavailable) as refused:
        database.connect(make_conninfo(source.url, dbname="no_such_database"))
    assert settings(refused.value.remedy) == [("source", "url"), ("source", "admin_url")]
    database.connect(source.url).close()


def test_a_setup_succeeds_once_the_urls_name_roles_with_the_rights_or_a_dba_runs_the_statements(
    endpoints: Endpoints,
) -> None:
    with own_tables(endpoints, "weak_remedies") as owner, database.connect(owner.admin_url) as admin:
        admin.execute("CREATE ROLE weak_remedies_weak LOGIN PASSWORD 'weak'")
        weak_url = make_conninfo(owner.url, user="weak_remedies_weak", password="weak")
        weak = replace(owner, url=weak_url, admin_url=weak_url)
        capture = Capture(CONFIGURATION, owner.replication_role)
        with pytest.raises(InsufficientPrivilege) as refused:
            run_statements(weak, plan_source(weak, capture).statements)
        assert settings(refused.value.remedy) == [("source", "url"), ("source", "admin_url")]
        assert commands(refused.value.remedy)[0] == ["init", "--print-sql"]
        printed = script(plan_source(weak, capture))
        password = owner.replication_password
        admin.execute(printed.replace(":'replication_password'", f"'{password}'").encode())
        assert plan_source(weak, capture) == SourcePlan((), ())
        admin.execute("RESET ROLE; DROP PUBLICATION readmodels; DROP OWNED BY weak_remedies_weak")
        admin.execute("DROP ROLE weak_remedies_weak")


def test_a_statement_succeeds_once_what_postgresql_names_is_corrected(source: SourceSettings) -> None:
    with database.connect(source.url) as owner, owner.transaction(force_rollback=True):
        owner.execute(
            "ALTER TABLE readmodels.signal RENAME TO elsewhere; CREATE VIEW readmodels.signal AS SELECT 1 AS id"
        )
        with pytest.raises(SourceError, match="signal") as refused, owner.transaction():
            database.run_sql_file(owner, "connector_objects.sql")
        assert refused.value.remedy.startswith("Correct what PostgreSQL names in this message")
        owner.execute("DROP VIEW readmodels.signal; ALTER TABLE readmodels.elsewhere RENAME TO signal")
        database.run_sql_file(owner, "connector_objects.sql")


def test_a_condition_is_taken_once_it_is_written_as_the_example(source: SourceSettings) -> None:
    with database.connect(source.url) as owner:
        for wrong in ("no_such_column > 5", "id IN (SELECT id FROM order_items)", "true) OR (true"):
            with pytest.raises(InvalidCondition) as refused:
                estimate_rows(owner, "public.orders", wrong)
        [example] = re.findall("`([^`]+)`", refused.value.remedy)
        assert estimate_rows(owner, "public.orders", example) >= 0


def test_a_time_is_accepted_once_it_is_written_as_the_example(source: SourceSettings) -> None:
    with open_source_reader(source.url) as side:
        columns = {"id": "bigint", "created_at": "timestamptz"}
        table = TableDefinition(source="public.orders", key=("id",), columns=columns)
        orders = ComparisonSet("orders", whole_table("orders", table), ModelKind.ROW)
        with pytest.raises(InvalidSince) as refused:
            side.keys_since(orders, "lately")
        [example] = re.findall("`([^`]+)`", refused.value.remedy)
        assert side.keys_since(orders, example) == []


def test_rows_are_read_by_the_connector_once_its_role_has_the_rights(source: SourceSettings) -> None:
    with database.connect(source.admin_url) as admin, admin.transaction(force_rollback=True):
        admin.execute(f"REVOKE SELECT ON orders FROM {ROLE}; REVOKE USAGE ON SCHEMA public FROM {ROLE}".encode())
        carry_out(admin, SnapshotRefused("public.orders", ROLE).remedy)
        admin.execute(f"SET LOCAL ROLE {ROLE}".encode())
        admin.execute("SELECT count(*) FROM public.orders")
