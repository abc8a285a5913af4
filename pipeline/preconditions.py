"""What must be true of the source before its log can be trusted, each with what to do where it is not."""

from dataclasses import dataclass

from psycopg.rows import class_row

from connectors.debezium import ConnectorConfiguration
from connectors.errors import ContractBroken
from pipeline.replication import Slot, read_slot
from pipeline.source_database import Connection, statement


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with the source, and what puts it right."""

    problem: str
    remedy: str


class SourceNotReady(ContractBroken):
    """The source is set up so that the read models would silently become wrong."""

    def __init__(self, findings: list[Finding]) -> None:
        super().__init__("; ".join(finding.problem for finding in findings))
        self.findings = findings
        self.remedy = " ".join(finding.remedy for finding in findings)


@dataclass(frozen=True)
class SourceDatabase:
    """The server, the database and the publication, as far as they matter here."""

    wal_level: str
    encoding: str
    is_published: bool
    is_every_operation_published: bool
    published_tables: list[str]
    partly_published_tables: list[str]


@dataclass(frozen=True)
class CapturedTable:
    """A table whose changes are captured, as far as it matters here."""

    table_name: str
    is_present: bool
    is_plain: bool
    is_identity_full: bool
    is_row_secured: bool
    is_keyed: bool
    is_key_deferrable: bool
    generated_columns: list[str]
    nullable_columns_with_default: list[str]


def check_source(connection: Connection, configuration: ConnectorConfiguration) -> list[Finding]:
    """Look for everything at the source that would make the log incomplete or untrue; nothing is changed."""
    with connection.cursor(row_factory=class_row(SourceDatabase)) as cursor:
        database = next(
            iter(cursor.execute(statement("source_database.sql"), {"publication": configuration.publication}))
        )
    with connection.cursor(row_factory=class_row(CapturedTable)) as cursor:
        tables = cursor.execute(statement("captured_tables.sql"), {"tables": list(configuration.tables)}).fetchall()
    findings = _of_database(database, configuration)
    for table in tables:
        findings += _of_table(table, configuration)
    if slot := read_slot(connection, configuration.slot):
        findings += _of_slot(slot, configuration)
    return findings


def require_ready(connection: Connection, configuration: ConnectorConfiguration) -> None:
    """Refuse a source in which anything was found.

    Raises:
        SourceNotReady: with every finding.
    """
    if findings := check_source(connection, configuration):
        raise SourceNotReady(findings)


def _of_database(database: SourceDatabase, configuration: ConnectorConfiguration) -> list[Finding]:
    findings = []
    if database.wal_level != "logical":
        findings.append(
            Finding(
                f"wal_level is {database.wal_level}: the WAL holds no rows",
                "ALTER SYSTEM SET wal_level = logical; then restart PostgreSQL.",
            )
        )
    if database.encoding != "UTF8":
        findings.append(
            Finding(
                f"the database's encoding is {database.encoding}, and Debezium reads UTF-8 only",
                "Make the database anew with ENCODING 'UTF8'.",
            )
        )
    return findings + _of_publication(database, configuration)


def _of_publication(database: SourceDatabase, configuration: ConnectorConfiguration) -> list[Finding]:
    name = configuration.publication
    if not database.is_published:
        return [Finding(f"there is no publication {name}", "Run `readmodels init`.")]
    findings = []
    if not database.is_every_operation_published:
        findings.append(
            Finding(
                f"publication {name} leaves out an operation",
                f"ALTER PUBLICATION {name} SET (publish = 'insert, update, delete, truncate');",
            )
        )
    for table in (*configuration.tables, configuration.signal_table):
        if table not in database.published_tables:
            findings.append(
                Finding(f"publication {name} leaves out {table}", f"ALTER PUBLICATION {name} ADD TABLE {table};")
            )
        elif table in database.partly_published_tables:
            findings.append(
                Finding(
                    f"publication {name} leaves out rows or columns of {table}",
                    f"ALTER PUBLICATION {name} DROP TABLE {table}; ALTER PUBLICATION {name} ADD TABLE {table};",
                )
            )
    return findings


def _of_table(table: CapturedTable, configuration: ConnectorConfiguration) -> list[Finding]:
    name = table.table_name
    if not table.is_present:
        return [Finding(f"there is no table {name}", "Create it, or take it out of `table.include.list`.")]
    findings = []
    if not table.is_plain:
        findings.append(
            Finding(f"{name} is not an ordinary logged table", "Capture its partitions, or make it a logged table.")
        )
    if not table.is_identity_full:
        findings.append(
            Finding(
                f"{name} does not log whole old rows: Debezium would invent values for them",
                f"ALTER TABLE {name} REPLICA IDENTITY FULL; then rebuild the read models.",
            )
        )
    if table.is_row_secured:
        findings.append(
            Finding(
                f"{name} has row level security: a snapshot would miss the rows that it hides",
                f"ALTER TABLE {name} DISABLE ROW LEVEL SECURITY;",
            )
        )
    if not table.is_keyed:
        findings.append(Finding(f"{name} has no primary key", f"ALTER TABLE {name} ADD PRIMARY KEY (…);"))
    if table.is_key_deferrable:
        findings.append(
            Finding(
                f"the primary key of {name} is deferrable: one key could hold two rows in the log",
                f"Make the primary key of {name} anew, NOT DEFERRABLE.",
            )
        )
    return findings + _of_columns(table, configuration)


def _of_columns(table: CapturedTable, configuration: ConnectorConfiguration) -> list[Finding]:
    name = table.table_name
    findings = [
        Finding(
            f"{name}.{column} is generated: snapshots would carry it, changes would not",
            f"Add {name}.{column} to the connector's `column.exclude.list`.",
        )
        for column in table.generated_columns
        if configuration.captures_column(name, column)
    ]
    if not configuration.has_json_values:
        findings += [
            Finding(
                f"{name}.{column} may be NULL and has a default: in Avro, NULL would arrive as the default",
                f"ALTER TABLE {name} ALTER COLUMN {column} DROP DEFAULT;",
            )
            for column in table.nullable_columns_with_default
            if configuration.captures_column(name, column)
        ]
    return findings


def _of_slot(slot: Slot, configuration: ConnectorConfiguration) -> list[Finding]:
    remedy = "Run `readmodels teardown` and `readmodels init`: the log must begin anew."
    if slot.plugin != configuration.settings["plugin.name"]:
        return [Finding(f"slot {slot.name} belongs to the decoder {slot.plugin}", remedy)]
    if slot.wal_status == "lost":
        return [Finding(f"slot {slot.name} has lost WAL that it needed: changes are missing for ever", remedy)]
    if slot.wal_status == "unreserved":
        return [
            Finding(
                f"slot {slot.name} loses its WAL at the next checkpoint ({slot.safe_wal_bytes} bytes are left)",
                "Start the connector now, or raise max_slot_wal_keep_size.",
            )
        ]
    return []
