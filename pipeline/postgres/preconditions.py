"""Preconditions: requirements that the source must meet for its log to be trusted, each with its remedy.

They are checked at every start, and every few seconds while workers run (`pipeline.epochs.source_monitor`). Some of
them make the log incomplete or wrong for as long as they are violated: these are gaps. The others prevent a snapshot
from reading rows.
"""

from dataclasses import dataclass, replace

from psycopg import sql

from connectors.capture_list import is_avro_name
from connectors.debezium import ConnectorConfiguration
from connectors.errors import SourceContractViolation
from pipeline.definitions import ModelDefinitions
from pipeline.postgres.capture import Capture, CapturedTable, DatabaseState, SourceState, read_source
from pipeline.postgres.database import Connection
from pipeline.postgres.key_columns import key_rules
from pipeline.postgres.replication import Slot

Rule = tuple[bool, str, str]
"""Violation flag, problem text and remedy of a precondition."""


@dataclass(frozen=True)
class PreconditionFailure:
    """Problem of the source, with its remedy."""

    problem: str
    remedy: str


class SourceNotReady(SourceContractViolation):
    """The source is set up so that the read models would silently become wrong."""

    def __init__(self, findings: list[PreconditionFailure]) -> None:
        super().__init__("; ".join(finding.problem for finding in findings))
        self.findings = findings
        self.remedy = " ".join(finding.remedy for finding in findings)


def findings(source: SourceState, capture: Capture) -> list[PreconditionFailure]:
    """Return everything that would make the log incomplete or wrong, or prevent a snapshot from reading rows."""
    rules = [*_of_database(source.database), *_of_signals(source.database, capture)]
    for table in source.tables:
        rules += [*_of_reading(table, capture), *_of_writing(table, capture), *_of_names(table, capture)]
    if source.slot:
        rules += _of_slot(source.slot, capture.connector)
    return [*gaps(source, capture), *_broken(rules)]


def gaps(source: SourceState, capture: Capture) -> list[PreconditionFailure]:
    """Return everything that makes the log incomplete or wrong for as long as it lasts."""
    rules = _of_publication(source.database, capture)
    for table in source.tables:
        rules += _of_table(table)
        rules += _of_published(table, source.database, capture)
        rules += _of_columns(table, capture)
    return _broken(rules)


def column_findings(source: SourceState, capture: Capture) -> list[PreconditionFailure]:
    """Return every described column whose values the connector does not send, or sends as other values."""
    return _broken([rule for table in source.tables for rule in _of_columns(table, capture)])


def reading_findings(source: SourceState, capture: Capture) -> list[PreconditionFailure]:
    """Return everything that prevents a snapshot from reading all rows."""
    return _broken([rule for table in source.tables for rule in _of_reading(table, capture)])


def require_ready(connection: Connection, capture: Capture, *, is_slot_dropped: bool = False) -> None:
    """Refuse a source that has any finding.

    Args:
        is_slot_dropped: true if the caller drops the slot next, so that a lost or foreign slot is no obstacle.

    Raises:
        SourceNotReady: with every finding.
    """
    source = read_source(connection, capture)
    found = findings(replace(source, slot=None) if is_slot_dropped else source, capture)
    if capture.definitions is not None:
        found += key_findings(connection, capture.definitions)
    if found:
        raise SourceNotReady(found)


def key_findings(connection: Connection, definitions: ModelDefinitions) -> list[PreconditionFailure]:
    """Return every column that is part of a key, or refers to one, and cannot be."""
    return _broken(key_rules(connection, definitions))


def _broken(rules: list[Rule]) -> list[PreconditionFailure]:
    return [PreconditionFailure(problem, remedy) for is_broken, problem, remedy in rules if is_broken]


def _of_database(database: DatabaseState) -> list[Rule]:
    return [
        (
            database.wal_level != "logical",
            f"wal_level is {database.wal_level}: the WAL does not hold rows",
            "ALTER SYSTEM SET wal_level = logical; then restart PostgreSQL.",
        ),
        (
            database.encoding != "UTF8",
            f"the database's encoding is {database.encoding}: Debezium reads UTF-8 only",
            "Move the tables to a database that is made by CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0; and "
            "let `source.url` and `source.admin_url` name it.",
        ),
    ]


def _of_publication(database: DatabaseState, capture: Capture) -> list[Rule]:
    name = capture.connector.publication
    if not database.is_published:
        return [(True, f"there is no publication {name}", "Run `readmodels init`.")]
    return [
        (
            not database.is_every_operation_published,
            f"publication {name} leaves out an operation",
            f"ALTER PUBLICATION {name} SET (publish = 'insert, update, delete, truncate');",
        )
    ]


def _of_published(table: CapturedTable, database: DatabaseState, capture: Capture) -> list[Rule]:
    name, quoted = capture.connector.publication, table.quoted_name
    if not database.is_published or not table.is_present:
        return []
    return [
        (
            table.table_name not in database.published_tables,
            f"publication {name} leaves out {table.table_name}",
            f"ALTER PUBLICATION {name} ADD TABLE {quoted};",
        ),
        (
            table.table_name in database.partly_published_tables,
            f"publication {name} leaves out rows or columns of {table.table_name}",
            f"ALTER PUBLICATION {name} DROP TABLE {quoted}; ALTER PUBLICATION {name} ADD TABLE {quoted};",
        ),
    ]


def _of_signals(database: DatabaseState, capture: Capture) -> list[Rule]:
    name, table = capture.connector.publication, capture.connector.signal_table
    return [
        (
            database.is_published and table not in database.published_tables,
            f"publication {name} leaves out {table}, through which snapshots are asked for",
            f"ALTER PUBLICATION {name} ADD TABLE {table};",
        )
    ]


def _of_table(table: CapturedTable) -> list[Rule]:
    name, quoted = table.table_name, table.quoted_name
    if not table.is_present:
        return [(True, f"there is no table {name}", f"Create {name}, or take it out of readmodels.toml.")]
    return [
        (
            not table.is_plain,
            f"{name} is not an ordinary logged table",
            "If it is partitioned, name its partitions in readmodels.toml instead. If it is unlogged: ALTER TABLE "
            f"{quoted} "
            "SET LOGGED;",
        ),
        (
            not table.is_identity_full,
            f"{name} does not log whole old rows: Debezium would invent values for them",
            f"ALTER TABLE {quoted} REPLICA IDENTITY FULL;",
        ),
        (
            not table.is_keyed,
            f"{name} has no primary key",
            f"ALTER TABLE {quoted} ADD PRIMARY KEY (…); with the columns of its key in the parentheses.",
        ),
        (
            table.is_key_deferrable,
            f"the primary key of {name} is deferrable: one key could be two rows in the log",
            f"ALTER TABLE {quoted} DROP CONSTRAINT …, ADD PRIMARY KEY (…) NOT DEFERRABLE; with the name of its primary "
            "key after CONSTRAINT, and the columns of the key in the parentheses.",
        ),
    ]


def _of_reading(table: CapturedTable, capture: Capture) -> list[Rule]:
    name, role = table.table_name, sql.Identifier(capture.role).as_string()
    if not table.is_present:
        return []
    return [
        (
            not table.is_schema_usable,
            f"role {capture.role} may not use the schema of {name}: a snapshot of it fails",
            f"GRANT USAGE ON SCHEMA {table.quoted_schema} TO {role};",
        ),
        (
            not table.is_readable,
            f"role {capture.role} may not read {name}: a snapshot of it fails",
            f"GRANT SELECT ON {table.quoted_name} TO {role};",
        ),
        (
            table.is_row_secured,
            f"{name} has row level security: a snapshot would miss the rows that it hides from {capture.role}",
            f"ALTER ROLE {role} BYPASSRLS;",
        ),
    ]


def _of_writing(table: CapturedTable, capture: Capture) -> list[Rule]:
    # Since PostgreSQL 18, a table with REPLICA IDENTITY FULL refuses changes of rows that are not published completely.
    name, publication = table.table_name, sql.Identifier(capture.connector.publication).as_string()
    stored, virtual = table.unpublished_stored_columns, table.unpublished_virtual_columns
    dropped = ", ".join(f"DROP COLUMN {sql.Identifier(column).as_string()}" for column in virtual)
    refused = "PostgreSQL refuses every UPDATE and DELETE of the table"
    return [
        (
            bool(stored),
            f"publication {capture.connector.publication} leaves out generated columns of {name}: {refused}",
            f"ALTER PUBLICATION {publication} SET (publish_generated_columns = stored);",
        ),
        (
            bool(virtual),
            f"{name} has virtual generated columns, which cannot be published: {refused}",
            f"ALTER TABLE {table.quoted_name} {dropped}; add them again as GENERATED ALWAYS AS (…) STORED.",
        ),
    ]


def _of_names(table: CapturedTable, capture: Capture) -> list[Rule]:
    name = table.table_name
    return [
        (
            not is_avro_name(column) and capture.connector.captures_column(name, column),
            f"{name}.{column}: Avro allows only letters, digits and _ in names, so that the connector would fail",
            f'Add "{column}" to `exclude` under the section of {name} in readmodels.toml, or set format = "json" under '
            "[envelopes].",
        )
        for column in table.columns
        if not capture.connector.has_json_values
    ]


def _of_columns(table: CapturedTable, capture: Capture) -> list[Rule]:
    name, publication = table.table_name, sql.Identifier(capture.connector.publication).as_string()
    return [
        (
            capture.describes(name, column),
            f"{name}.{column} is generated and not published: snapshots would carry it, changes would not",
            f"ALTER PUBLICATION {publication} SET (publish_generated_columns = stored);"
            if column in table.publishable_columns
            else f"Take {column} out of the columns of {name} in readmodels.toml.",
        )
        for column in table.generated_columns
    ]


def _of_slot(slot: Slot, configuration: ConnectorConfiguration) -> list[Rule]:
    begin_anew = (
        "Run `readmodels epoch open --resnapshot --execute`: the log continues with a new slot and a new snapshot."
    )
    return [
        (
            slot.plugin != configuration.settings["plugin.name"],
            f"slot {slot.name} belongs to the decoder {slot.plugin}",
            begin_anew,
        ),
        (
            slot.wal_status == "lost",
            f"slot {slot.name} has lost WAL that it needed: changes are missing for ever",
            begin_anew,
        ),
        (
            slot.wal_status == "unreserved",
            f"slot {slot.name} loses WAL at the next checkpoint ({slot.safe_wal_bytes} bytes are left)",
            "Run `readmodels init` now, which starts the connector; or: ALTER SYSTEM SET max_slot_wal_keep_size = "
            "-1; then "
            "SELECT pg_reload_conf();",
        ),
    ]
