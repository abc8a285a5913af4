"""Plan of the changes that set-up makes in the source database: every statement, in order, with its reason.

The plan contains only statements that cannot harm an application: the connector's role and its grants, its own schema,
the publication, and replica identities. Everything else that the source lacks is a refusal, which is found before the
first statement runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import Enum

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from connectors.sql_names import in_sql
from pipeline.postgres import replication
from pipeline.postgres.capture import Capture, CapturedTable, SourceState, read_source
from pipeline.postgres.catalog import STORED_COLUMNS_SINCE
from pipeline.postgres.database import Connection, InsufficientPrivilege, SourceError, connect, load_sql
from pipeline.postgres.preconditions import PreconditionFailure, SourceNotReady, findings, key_findings
from pipeline.postgres.unsendable import unsendable
from pipeline.service_addresses import SourceSettings
from pipeline.setup.declared import declared_findings

OWN_TABLES = ("readmodels.heartbeat", "readmodels.signal")
EVERY_OPERATION = "insert, update, delete, truncate"


class Executor(Enum):
    """Role that runs a statement."""

    OWNER = "the owner of the tables, source.url"
    ADMIN = "an administrator, source.admin_url"


@dataclass(frozen=True)
class PlannedStatement:
    """Statement of the plan.

    Args:
        reason: the reason, as a comment says it.
        text: the statement as `psql` takes it, without secrets.
        is_role: it creates the connector's role: the password is added when the statement runs.
    """

    reason: str
    text: str
    executor: Executor = Executor.OWNER
    is_role: bool = False


@dataclass(frozen=True)
class SourcePlan:
    """Statements that the source needs, and problems that no statement of the plan mends.

    Args:
        owner: the role of `source.url`.
    """

    statements: tuple[PlannedStatement, ...]
    refusals: tuple[PreconditionFailure, ...]
    owner: str = field(default="", compare=False)

    def require_possible(self) -> None:
        """Raise if a problem remains that the plan does not mend.

        Raises:
            SourceNotReady: with every problem and its remedy.
        """
        if self.refusals:
            raise SourceNotReady(list(self.refusals))


@dataclass(frozen=True)
class _SetupState:
    """Parts of the setup that exist already, and privileges of the role of the connection."""

    user_name: str
    database_name: str
    is_superuser: bool
    may_create: bool
    is_role_present: bool
    are_objects_present: bool
    owns_objects: bool
    owns_publication: bool
    is_role_granted: bool
    may_signal: bool


def plan_source(source: SourceSettings, capture: Capture) -> SourcePlan:
    """Read the source and plan its changes. Changes nothing.

    Raises:
        SourceUnavailable: the server does not answer, or refuses the login.
    """
    with connect(source.url) as connection:
        state, setup = read_source(connection, capture), _read_setup(connection, source, capture)
        statements = tuple(_statements(source, capture, state, setup))
        refusals = findings(_after(state, capture), capture)
        if capture.definitions is not None:
            refusals += key_findings(connection, capture.definitions)
            refusals += declared_findings(connection, capture.definitions)
            refusals += list(unsendable(connection, capture.definitions, _present(state)))
    return SourcePlan(statements, tuple(refusals), setup.user_name)


def carry_out(source: SourceSettings, statements: tuple[PlannedStatement, ...]) -> None:
    """Run the statements in order. Each is a transaction, and may be repeated.

    Raises:
        InsufficientPrivilege: the role lacks a privilege; the error names the statement.
        SourceError: PostgreSQL refused a statement for another reason.
    """
    urls = {Executor.OWNER: source.url, Executor.ADMIN: source.admin_url}
    for statement in statements:
        if statement.is_role:
            replication.create_role(source)
            continue
        with connect(urls[statement.executor]) as connection:
            try:
                connection.execute(sql.SQL(statement.text))
            except psycopg.errors.InsufficientPrivilege as error:
                raise InsufficientPrivilege(f"{statement.text}: {error.diag.message_primary}") from error
            except psycopg.Error as error:
                raise SourceError(f"{statement.text}: {error.diag.message_primary or error}") from error


def script(plan: SourcePlan) -> str:
    """Return the statements as a script for `psql`. A superuser can run all of it; comments name the roles."""
    lines: list[str] = []
    executor = Executor.ADMIN
    for statement in plan.statements:
        if statement.executor is not executor:
            executor = statement.executor
            change = f"SET ROLE {in_sql(plan.owner)};" if executor is Executor.OWNER else "RESET ROLE;"
            lines += [f"-- As {executor.value}:", change, ""]
        if statement.is_role:
            lines.append("-- psql takes the password from: psql --set=replication_password=…")
        lines += [f"-- {statement.reason}", statement.text, ""]
    return "\n".join(lines)


def _read_setup(connection: Connection, source: SourceSettings, capture: Capture) -> _SetupState:
    named = {"role": source.replication_role, "publication": capture.connector.publication}
    with connection.cursor(row_factory=class_row(_SetupState)) as cursor:
        return next(iter(cursor.execute(load_sql("source_setup.sql"), named)))


def _present(state: SourceState) -> frozenset[str]:
    return frozenset(table.table_name for table in state.tables if table.is_present)


def _after(state: SourceState, capture: Capture) -> SourceState:
    """Return the state after the plan, so that its findings are those that the plan does not mend."""
    is_newer = state.database.server_version >= STORED_COLUMNS_SINCE
    database = replace(
        state.database,
        is_published=True,
        is_every_operation_published=True,
        published_tables=[*(table.table_name for table in state.tables), *OWN_TABLES, capture.connector.signal_table],
        partly_published_tables=[],
    )
    tables = [
        replace(
            table,
            is_identity_full=True,
            is_schema_usable=True,
            is_readable=True,
            is_row_secured=False,
            generated_columns=table.virtual_columns if is_newer else table.generated_columns,
            publishable_columns=[],
            unpublished_stored_columns=[],
            unpublished_virtual_columns=table.virtual_columns if is_newer else [],
        )
        for table in state.tables
    ]
    return replace(state, database=database, tables=tables)


def _statements(
    source: SourceSettings, capture: Capture, state: SourceState, setup: _SetupState
) -> Iterator[PlannedStatement]:
    tables = [table for table in state.tables if table.is_present]
    role = in_sql(source.replication_role)
    yield from _of_role(source, setup)
    yield from _of_row_security(role, tables)
    yield from _of_objects(setup)
    yield from _of_publication(capture, state, setup, tables)
    for table in tables:
        yield from _of_identity(table)
    yield from _of_grants(role, setup, tables)


def _of_role(source: SourceSettings, setup: _SetupState) -> Iterator[PlannedStatement]:
    if replication.can_replicate(source):
        return
    name = in_sql(source.replication_role)
    verb = "ALTER" if setup.is_role_present else "CREATE"
    text = f"{verb} ROLE {name} LOGIN REPLICATION PASSWORD :'replication_password';"
    if not setup.is_role_present:
        text += f"\nCOMMENT ON ROLE {name} IS '{replication.MADE_BY}';"
    yield PlannedStatement("The role as which the connector reads the WAL.", text, Executor.ADMIN, is_role=True)


def _of_row_security(role: str, tables: list[CapturedTable]) -> Iterator[PlannedStatement]:
    secured = [table.table_name for table in tables if table.is_row_secured]
    if secured:
        yield PlannedStatement(
            f"Row level security of {', '.join(secured)} would hide rows from the connector.",
            f"ALTER ROLE {role} BYPASSRLS;",
            Executor.ADMIN,
        )


def _of_objects(setup: _SetupState) -> Iterator[PlannedStatement]:
    if setup.are_objects_present:
        return
    if not setup.may_create:
        yield PlannedStatement(
            "A schema for the connector's own tables.",
            f"CREATE SCHEMA IF NOT EXISTS readmodels AUTHORIZATION {in_sql(setup.user_name)};",
            Executor.ADMIN,
        )
    text = load_sql("connector_objects.sql").partition("\n\n")[2].strip()
    if not setup.may_create:
        text = text.partition("\n\n")[2]
    executor = Executor.OWNER if setup.owns_objects else Executor.ADMIN
    yield PlannedStatement(
        "Tables that the connector writes to, and the record of what `teardown` restores.", text, executor
    )


def _of_publication(
    capture: Capture, state: SourceState, setup: _SetupState, tables: list[CapturedTable]
) -> Iterator[PlannedStatement]:
    name, database = in_sql(capture.connector.publication), state.database
    all_owned = all(table.is_owned for table in tables)
    has_stored = any(table.stored_columns for table in tables)
    with_stored = has_stored and database.server_version >= STORED_COLUMNS_SINCE
    if not database.is_published:
        listed = ", ".join([*(table.quoted_name for table in tables), *OWN_TABLES])
        stored = ", publish_generated_columns = stored" if with_stored else ""
        yield PlannedStatement(
            "The changes that the connector reads.",
            f"CREATE PUBLICATION {name} FOR TABLE {listed} WITH (publish = '{EVERY_OPERATION}'{stored});\n"
            f"COMMENT ON PUBLICATION {name} IS '{replication.MADE_BY}';",
            Executor.OWNER if setup.may_create and all_owned else Executor.ADMIN,
        )
        return
    executor = Executor.OWNER if setup.owns_publication else Executor.ADMIN
    if not database.is_every_operation_published:
        yield PlannedStatement(
            "Changes of every kind are published.",
            f"ALTER PUBLICATION {name} SET (publish = '{EVERY_OPERATION}');",
            executor,
        )
    if with_stored and not database.are_stored_columns_published:
        yield PlannedStatement(
            "Without this, PostgreSQL 18 refuses UPDATE and DELETE of a table with a stored generated column.",
            f"ALTER PUBLICATION {name} SET (publish_generated_columns = stored);",
            executor,
        )
    listed_tables = [(table.table_name, table.quoted_name, table.is_owned) for table in tables]
    for table, quoted, is_owned in [*listed_tables, *((own, own, setup.owns_objects) for own in OWN_TABLES)]:
        by = executor if is_owned else Executor.ADMIN
        if table in database.partly_published_tables:
            yield PlannedStatement(
                f"{table} is published with all of its rows and columns.",
                f"ALTER PUBLICATION {name} DROP TABLE {quoted};\nALTER PUBLICATION {name} ADD TABLE {quoted};",
                by,
            )
        elif table not in database.published_tables:
            yield PlannedStatement(
                f"Changes of {table} are published.", f"ALTER PUBLICATION {name} ADD TABLE {quoted};", by
            )


def _of_identity(table: CapturedTable) -> Iterator[PlannedStatement]:
    """Yield the statement that lets changes contain whole old rows. The present identity is recorded before."""
    if table.is_identity_full:
        return
    schema, _, name = table.table_name.partition(".")
    values = ", ".join(map(_literal, (schema, name, table.replica_identity, table.replica_identity_index)))
    yield PlannedStatement(
        f"Changes of {table.table_name} contain the whole old row, not only its key.",
        f"INSERT INTO readmodels.earlier_replica_identity VALUES ({values}) ON CONFLICT DO NOTHING;\n"  # noqa: S608
        f"ALTER TABLE {table.quoted_name} REPLICA IDENTITY FULL;",
        Executor.OWNER if table.is_owned else Executor.ADMIN,
    )


def _of_grants(role: str, setup: _SetupState, tables: list[CapturedTable]) -> Iterator[PlannedStatement]:
    if not setup.is_role_granted:
        yield PlannedStatement(
            "The connector updates its heartbeat and marks its snapshots.",
            f"GRANT USAGE ON SCHEMA readmodels TO {role};\n"
            f"GRANT SELECT, INSERT, UPDATE ON readmodels.heartbeat TO {role};\n"
            f"GRANT SELECT, INSERT ON readmodels.signal TO {role};",
            Executor.OWNER if setup.owns_objects else Executor.ADMIN,
        )
    if setup.are_objects_present and not setup.may_signal:
        yield PlannedStatement(
            "Commands ask the connector for snapshots.",
            f"GRANT USAGE ON SCHEMA readmodels TO {in_sql(setup.user_name)};\n"
            f"GRANT SELECT, INSERT ON readmodels.signal TO {in_sql(setup.user_name)};",
            Executor.ADMIN,
        )
    schemas = {table.quoted_schema: table for table in tables if not table.is_schema_usable}
    for schema, table in schemas.items():
        yield PlannedStatement(
            "The connector finds the tables of the schema.",
            f"GRANT USAGE ON SCHEMA {schema} TO {role};",
            Executor.OWNER if table.is_schema_owned else Executor.ADMIN,
        )
    for table in tables:
        if not table.is_readable:
            yield PlannedStatement(
                f"A snapshot reads the rows of {table.table_name}.",
                f"GRANT SELECT ON {table.quoted_name} TO {role};",
                Executor.OWNER if table.is_owned else Executor.ADMIN,
            )


def _literal(value: str | None) -> str:
    return sql.Literal(value).as_string(None)
