"""Tests of the source's SQL on a real PostgreSQL: created objects, permissions, and detected problems."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from sqlalchemy import Column, inspect
from sqlalchemy.dialects import postgresql

from connectors.debezium import default_configuration
from connectors.source_session import LATER_SETTINGS, SETTINGS
from pipeline.demo.tables import STATUSES, Base, create_tables, open_engine
from pipeline.postgres import database, replication
from pipeline.postgres.capture import Capture, read_source
from pipeline.postgres.database import Connection, SourceUnavailable
from pipeline.postgres.preconditions import SourceNotReady, findings, require_ready
from pipeline.postgres.source_identity import altered, identity_of, rewritten
from pipeline.service_addresses import SourceSettings
from pipeline.setup.source_plan import plan_source
from stack.endpoints import Endpoints
from tests.integration.hostile import HOSTILE, make_hostile
from tests.integration.isolated_source import own_database, own_shop
from tests.support.wiretap import Wiretap

CONFIGURATION = default_configuration().with_settings({"slot.name": "source_test"})
COLUMNS = {"public.orders": {"id", "note", "half"}}
CAPTURE = Capture(CONFIGURATION, "source_test_replication", COLUMNS)


@pytest.fixture(scope="module")
def source(endpoints: Endpoints) -> Iterator[SourceSettings]:
    with own_shop(endpoints, "source_test") as settings:
        yield settings


@pytest.fixture
def connection(source: SourceSettings) -> Iterator[Connection]:
    """Yield a connection of the owner, in a transaction that is rolled back."""
    with database.connect(source.url) as opened, opened.transaction(force_rollback=True):
        yield opened


@pytest.fixture
def replicator(source: SourceSettings) -> Iterator[Connection]:
    url = make_conninfo(source.url, user=source.replication_role, password=source.replication_password)
    with database.connect(url) as opened:
        yield opened


def test_the_models_and_the_tables_are_the_same(source: SourceSettings) -> None:
    reflected = inspect(open_engine(source.url))
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    for table in Base.metadata.sorted_tables:
        columns = reflected.get_columns(table.name, schema="public")
        assert [
            (column["name"], column["type"].compile(dialect), column["nullable"], column["default"] is not None)
            for column in columns
        ] == [
            (column.name, column.type.compile(dialect), column.nullable, _has_default(column))
            for column in table.columns
        ]
        assert [column["name"] for column in columns if column.get("identity")] == ["id"]
        assert reflected.get_pk_constraint(table.name, schema="public")["constrained_columns"] == ["id"]
        assert reflected.get_foreign_keys(table.name, schema="public") == []
        assert [index["column_names"] for index in reflected.get_indexes(table.name, schema="public")] == [
            list(index.columns.keys()) for index in table.indexes
        ]


@pytest.mark.parametrize("status", STATUSES)
def test_every_status_of_the_models_is_accepted(connection: Connection, status: str) -> None:
    connection.execute("INSERT INTO orders (customer_id, status) VALUES (1, %s)", [status])


@pytest.mark.parametrize(
    "insert",
    [
        "INSERT INTO orders (customer_id, status) VALUES (1, 'lost')",
        "INSERT INTO orders (customer_id, total) VALUES (1, -0.01)",
        "INSERT INTO order_items (order_id, sku, quantity) VALUES (1, 'a', -1)",
        "INSERT INTO order_items (order_id, sku, unit_price) VALUES (1, 'a', -1)",
    ],
)
def test_a_wrong_status_or_a_negative_number_is_refused(connection: Connection, insert: str) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        connection.execute(insert)


def test_an_item_may_come_before_its_order(connection: Connection) -> None:
    connection.execute("INSERT INTO order_items (order_id, sku) VALUES (9007199254740993, '東京')")


def test_the_schema_may_be_created_again_without_losing_rows(source: SourceSettings, connection: Connection) -> None:
    connection.execute("INSERT INTO orders (customer_id) VALUES (7)")
    create_tables(connection)
    assert connection.execute("SELECT count(*) FROM orders WHERE customer_id = 7").fetchone() == (1,)
    assert plan_source(source, CAPTURE).statements == ()


def test_the_setup_is_ready(connection: Connection) -> None:
    require_ready(connection, CAPTURE)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ("ALTER TABLE orders REPLICA IDENTITY DEFAULT", "public.orders does not log whole old rows"),
        ("ALTER TABLE orders ENABLE ROW LEVEL SECURITY", "public.orders has row level security"),
        ("ALTER TABLE orders ADD half numeric GENERATED ALWAYS AS (total / 2) STORED", "public.orders.half is gen"),
        ("REVOKE SELECT ON orders FROM source_test_replication", "source_test_replication may not read public.orders"),
        ("ALTER TABLE order_items DROP CONSTRAINT order_items_pkey", "public.order_items has no primary key"),
        (
            "ALTER TABLE order_items DROP CONSTRAINT order_items_pkey, ADD PRIMARY KEY (id) DEFERRABLE",
            "the primary key of public.order_items is deferrable",
        ),
        ("ALTER PUBLICATION readmodels SET (publish = 'insert, update')", "readmodels leaves out an operation"),
        ("ALTER PUBLICATION readmodels DROP TABLE orders", "readmodels leaves out public.orders"),
        ("ALTER PUBLICATION readmodels SET TABLE orders WHERE (id > 5)", "leaves out rows or columns of public.orders"),
        ("ALTER PUBLICATION readmodels SET TABLE orders (id, status)", "leaves out rows or columns of public.orders"),
        ("DROP PUBLICATION readmodels", "there is no publication readmodels"),
        ("DROP TABLE orders", "there is no table public.orders"),
    ],
)
def test_a_change_at_the_source_that_breaks_the_log_is_found(connection: Connection, change: str, problem: str) -> None:
    connection.execute(change)
    with pytest.raises(SourceNotReady, match=problem):
        require_ready(connection, CAPTURE)


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE orders ADD added text DEFAULT 'x'",
        "CREATE INDEX ON orders (note)",
        "ALTER ROLE source_test_replication BYPASSRLS; ALTER TABLE orders ENABLE ROW LEVEL SECURITY",
    ],
)
def test_a_change_that_no_model_can_see_is_none(source: SourceSettings, change: str) -> None:
    with database.connect(source.admin_url) as admin, admin.transaction(force_rollback=True):
        admin.execute(change)
        require_ready(admin, CAPTURE)


WANTED = "ALTER PUBLICATION readmodels SET TABLE order_items, readmodels.heartbeat, readmodels.signal, orders"
PUBLISHED = "ALTER PUBLICATION readmodels SET (publish = 'insert, update, delete, truncate')"


@pytest.mark.parametrize(
    ("changes", "trace"),
    [
        ("ALTER PUBLICATION readmodels DROP TABLE orders; ALTER PUBLICATION readmodels ADD TABLE orders", "put back"),
        (f"ALTER PUBLICATION readmodels SET (publish = 'insert'); {PUBLISHED}", "operations were changed"),
        (f"{WANTED} WHERE (id > 5); {WANTED}", "put back"),
        (f"{WANTED} (id, note); {WANTED}", "put back"),
        ("DROP TABLE orders; CREATE TABLE orders (id bigint PRIMARY KEY)", "public.orders was dropped"),
        (
            "ALTER TABLE orders DROP CONSTRAINT orders_pkey; ALTER TABLE orders ADD PRIMARY KEY (id)",
            "primary key of public.orders was dropped",
        ),
        ("DROP PUBLICATION readmodels; CREATE PUBLICATION readmodels FOR TABLE orders", "publication was dropped"),
        ("ALTER TABLE orders ADD added text DEFAULT 'x'; CREATE INDEX again ON orders (note)", None),
        ("CLUSTER orders USING orders_pkey; TRUNCATE order_items; ANALYZE orders", None),
        ("REINDEX TABLE orders; GRANT SELECT ON orders TO CURRENT_USER", None),
        ("ALTER TABLE orders RENAME CONSTRAINT orders_pkey TO renamed", None),
        ("ALTER PUBLICATION readmodels SET (publish_via_partition_root = true)", None),
        (WANTED, None),
    ],
)
def test_only_actions_that_lose_changes_leave_a_trace(connection: Connection, changes: str, trace: str | None) -> None:
    known = identity_of(read_source(connection, CAPTURE))
    connection.execute(changes)
    found = list(altered(known, identity_of(read_source(connection, CAPTURE))))
    assert len(found) == (trace is not None), found
    assert all(trace is not None and trace in one for one in found)


@pytest.mark.parametrize(
    ("changes", "tables"),
    [
        ("ALTER TABLE orders REPLICA IDENTITY DEFAULT; ALTER TABLE orders REPLICA IDENTITY FULL", ["public.orders"]),
        (
            "ALTER TABLE order_items REPLICA IDENTITY USING INDEX order_items_pkey; "
            "ALTER TABLE order_items REPLICA IDENTITY FULL",
            ["public.order_items"],
        ),
        ("GRANT SELECT ON orders TO CURRENT_USER", ["public.orders"]),
        ("ALTER TABLE orders REPLICA IDENTITY FULL; CREATE INDEX ON orders (note); ANALYZE orders", []),
        ("INSERT INTO orders (customer_id) VALUES (1); DELETE FROM orders; DELETE FROM order_items", []),
    ],
)
def test_a_replica_identity_that_was_changed_back_leaves_another_version_of_its_table(
    connection: Connection, changes: str, tables: list[str]
) -> None:
    known = identity_of(read_source(connection, CAPTURE))
    connection.execute(changes)
    found = identity_of(read_source(connection, CAPTURE))
    assert (sorted(rewritten(known, found)), list(altered(known, found))) == (tables, [])


def test_names_are_quoted_as_the_catalog_has_them(connection: Connection) -> None:
    connection.execute('CREATE TABLE "Odd name" ("Id" int PRIMARY KEY, "No" int)')
    odd = CONFIGURATION.with_settings({"table.include.list": "public.Odd name"})
    capture = Capture(odd, "source_test_replication", {"public.Odd name": {"Id", "No"}})
    found = findings(read_source(connection, capture), capture)
    assert len(found) == 3
    for finding in found:
        connection.execute(finding.remedy)
    require_ready(connection, capture)


@pytest.mark.parametrize("kind", ["STORED", "VIRTUAL"])
def test_generated_columns_that_stop_writers_are_found_with_what_frees_them(connection: Connection, kind: str) -> None:
    connection.execute("INSERT INTO orders (customer_id) VALUES (1)")
    connection.execute(f"ALTER TABLE orders ADD twice numeric GENERATED ALWAYS AS (total * 2) {kind}".encode())
    with pytest.raises(psycopg.errors.InvalidColumnReference), connection.transaction():
        connection.execute("UPDATE orders SET note = 'written'")
    [finding] = findings(read_source(connection, CAPTURE), CAPTURE)
    connection.execute(finding.remedy.partition(";")[0])
    connection.execute("UPDATE orders SET note = 'written'")
    require_ready(connection, CAPTURE)


def test_an_unlogged_table_is_found(connection: Connection) -> None:
    connection.execute("ALTER PUBLICATION readmodels DROP TABLE orders")
    connection.execute("ALTER TABLE orders SET UNLOGGED")
    found = findings(read_source(connection, CAPTURE), CAPTURE)
    assert "public.orders is not an ordinary logged table" in [finding.problem for finding in found]


def test_a_remedy_that_is_sql_puts_things_right(connection: Connection) -> None:
    connection.execute("ALTER TABLE orders REPLICA IDENTITY NOTHING")
    connection.execute("ALTER PUBLICATION readmodels SET TABLE order_items")
    for finding in findings(read_source(connection, CAPTURE), CAPTURE):
        connection.execute(finding.remedy.partition(";")[0])
    require_ready(connection, CAPTURE)


def test_a_database_that_is_not_utf_8_is_found(endpoints: Endpoints) -> None:
    with (
        own_database(endpoints, "latin_test", encoding="LATIN1") as settings,
        database.connect(settings.url) as opened,
    ):
        found = findings(read_source(opened, CAPTURE), CAPTURE)
    assert "the database's encoding is LATIN1: Debezium reads UTF-8 only" in [finding.problem for finding in found]


def test_the_replication_role_may_read_orders_and_nothing_more(replicator: Connection) -> None:
    replicator.execute("SELECT * FROM orders, order_items LIMIT 1")
    replicator.execute("INSERT INTO readmodels.signal VALUES ('1', 'log', '{}')")
    for _ in range(2):
        replicator.execute(CONFIGURATION.settings["heartbeat.action.query"])
    for forbidden in (
        "INSERT INTO orders (customer_id) VALUES (1)",
        "UPDATE order_items SET quantity = 0",
        "DELETE FROM orders",
        "TRUNCATE orders",
        "DELETE FROM readmodels.signal",
        "CREATE TABLE mine ()",
        "CREATE SCHEMA mine",
        "CREATE ROLE mine",
        "ALTER PUBLICATION readmodels DROP TABLE orders",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            replicator.execute(forbidden)


def test_the_replication_password_never_travels_to_the_server(source: SourceSettings) -> None:
    server = conninfo_to_dict(source.admin_url)
    with Wiretap((str(server["host"]), int(server["port"] or 5432))) as tap:
        tapped = make_conninfo(source.admin_url, host="127.0.0.1", port=tap.port, sslmode="disable")
        replication.create_role(replace(source, admin_url=tapped))
    assert b"ALTER ROLE" in tap.heard
    assert source.replication_password.encode() not in tap.heard
    assert source.replication_password not in repr(source)


def test_a_role_with_another_password_is_given_the_right_one(source: SourceSettings) -> None:
    with database.connect(source.admin_url) as admin:
        admin.execute(f"ALTER ROLE {source.replication_role} NOREPLICATION PASSWORD 'other'")
    assert not replication.can_replicate(source)
    replication.create_role(source)
    assert replication.can_replicate(source)


def test_a_database_that_is_not_there_is_unavailable(source: SourceSettings) -> None:
    with pytest.raises(SourceUnavailable) as unavailable:
        database.connect(make_conninfo(source.url, dbname="no_such_database"))
    assert "no_such_database" in str(unavailable.value)


def _has_default(column: Column[Any]) -> bool:
    return column.server_default is not None and column.identity is None


def test_settings_of_the_database_and_the_role_do_not_reach_a_session(endpoints: Endpoints) -> None:
    with own_database(endpoints, "hostile_test") as own, database.connect(own.admin_url) as admin:
        make_hostile(admin, "hostile_test", str(conninfo_to_dict(own.url)["user"]))
        with database.connect(own.url) as opened:
            query = "SELECT name, current_setting(name) FROM unnest(%s::text[]) AS wanted (name)"
            found: dict[str, str] = dict(opened.execute(query, [list(HOSTILE)]).fetchall())  # type: ignore[arg-type]
    assert HOSTILE.keys() == {*SETTINGS, *LATER_SETTINGS, "client_encoding"} - {"lc_monetary"}
    wanted = {**SETTINGS, **dict.fromkeys(LATER_SETTINGS, "0"), "client_encoding": "UTF8", "datestyle": "ISO, MDY"}
    assert found == {name: wanted[name] for name in HOSTILE}


def test_a_server_is_not_given_settings_that_it_does_not_know(
    source: SourceSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "LATER_SETTINGS", {"no_such_timeout": 99})
    monkeypatch.setattr(database, "OPTIONS", ("-c no_such_timeout=0", "-c statement_timeout=7000"))
    with database.connect(source.url) as opened:
        assert opened.execute("SHOW statement_timeout").fetchall() == [("7s",)]


def test_a_url_may_hold_options_parameters_and_an_encoded_password(source: SourceSettings) -> None:
    role, password = "url_test", "p@ss:w/rd %"
    given = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(role), sql.Literal(password))
    parts = conninfo_to_dict(source.url)
    with database.connect(source.admin_url) as admin:
        admin.execute(given)
        try:
            url = (
                f"postgresql://{role}:{quote(password, safe='')}@{parts['host']}:{parts['port']}/{parts['dbname']}"
                "?sslmode=prefer&application_name=asked&connect_timeout=7&options=-c%20work_mem%3D7MB"
            )
            settings = replace(source, url=url)
            with database.connect(settings.url) as connection:
                asked = "SELECT current_user::text, current_setting('application_name'), current_setting('work_mem')"
                assert connection.execute(asked).fetchone() == (role, "asked", "7MB")
                assert connection.execute("SHOW intervalstyle").fetchone() == ("postgres",)
                assert connection.info.get_parameters()["connect_timeout"] == "7"
        finally:
            admin.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))
