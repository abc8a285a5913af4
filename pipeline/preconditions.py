"""What must be true of the source before its log can be trusted, each with what to do where it is not."""

from dataclasses import dataclass

from psycopg.rows import class_row

from connectors.debezium import ConnectorConfiguration
from connectors.errors import ContractBroken
from pipeline.replication import Slot, read_slot
from pipeline.source_database import Connection, statement

Rule = tuple[bool, str, str]
"""Whether something is broken, what it would be called, and its remedy."""


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


@dataclass(frozen=True)
class Source:
    """Everything that was read at the source, at one moment."""

    database: SourceDatabase
    tables: list[CapturedTable]
    slot: Slot | None


def read_source(connection: Connection, configuration: ConnectorConfiguration) -> Source:
    """Read what the preconditions are about; nothing is changed."""
    with connection.cursor(row_factory=class_row(SourceDatabase)) as cursor:
        wanted = {"publication": configuration.publication}
        database = next(iter(cursor.execute(statement("source_database.sql"), wanted)))
    with connection.cursor(row_factory=class_row(CapturedTable)) as cursor:
        tables = cursor.execute(statement("captured_tables.sql"), {"tables": list(configuration.tables)}).fetchall()
    return Source(database, tables, read_slot(connection, configuration.slot))


def findings(source: Source, configuration: ConnectorConfiguration) -> list[Finding]:
    """Name everything that would make the log incomplete or untrue."""
    rules = [*_of_database(source.database), *_of_publication(source.database, configuration)]
    for table in source.tables:
        rules += _of_table(table, configuration)
    if source.slot:
        rules += _of_slot(source.slot, configuration)
    return [Finding(problem, remedy) for is_broken, problem, remedy in rules if is_broken]


def require_ready(connection: Connection, configuration: ConnectorConfiguration) -> None:
    """Refuse a source in which anything was found.

    Raises:
        SourceNotReady: with every finding.
    """
    if found := findings(read_source(connection, configuration), configuration):
        raise SourceNotReady(found)


def _of_database(database: SourceDatabase) -> list[Rule]:
    return [
        (
            database.wal_level != "logical",
            f"wal_level is {database.wal_level}: the WAL does not hold rows",
            "ALTER SYSTEM SET wal_level = logical; then restart PostgreSQL.",
        ),
        (
            database.encoding != "UTF8",
            f"the database's encoding is {database.encoding}: Debezium reads UTF-8 only",
            "Make the database anew with ENCODING 'UTF8'.",
        ),
    ]


def _of_publication(database: SourceDatabase, configuration: ConnectorConfiguration) -> list[Rule]:
    name = configuration.publication
    if not database.is_published:
        return [(True, f"there is no publication {name}", "Run `readmodels init`.")]
    operations = (
        not database.is_every_operation_published,
        f"publication {name} leaves out an operation",
        f"ALTER PUBLICATION {name} SET (publish = 'insert, update, delete, truncate');",
    )
    tables = (*configuration.tables, configuration.signal_table)
    missing = [
        (
            table not in database.published_tables,
            f"publication {name} leaves out {table}",
            f"ALTER PUBLICATION {name} ADD TABLE {table};",
        )
        for table in tables
    ]
    partial = [
        (
            table in database.partly_published_tables,
            f"publication {name} leaves out rows or columns of {table}",
            f"ALTER PUBLICATION {name} DROP TABLE {table}; ALTER PUBLICATION {name} ADD TABLE {table};",
        )
        for table in tables
    ]
    return [operations, *missing, *partial]


def _of_table(table: CapturedTable, configuration: ConnectorConfiguration) -> list[Rule]:
    name = table.table_name
    if not table.is_present:
        return [(True, f"there is no table {name}", "Create it, or take it out of `table.include.list`.")]
    return [
        (
            not table.is_plain,
            f"{name} is not an ordinary logged table",
            "Capture its partitions instead, or ALTER TABLE … SET LOGGED.",
        ),
        (
            not table.is_identity_full,
            f"{name} does not log whole old rows: Debezium would invent values for them",
            f"ALTER TABLE {name} REPLICA IDENTITY FULL; then rebuild the read models.",
        ),
        (
            table.is_row_secured,
            f"{name} has row level security: a snapshot would miss the rows that it hides",
            f"ALTER TABLE {name} DISABLE ROW LEVEL SECURITY;",
        ),
        (
            not table.is_keyed,
            f"{name} has no primary key",
            f"ALTER TABLE {name} ADD PRIMARY KEY (…);",
        ),
        (
            table.is_key_deferrable,
            f"the primary key of {name} is deferrable: one key could be two rows in the log",
            f"Make the primary key of {name} anew, NOT DEFERRABLE.",
        ),
        *_of_columns(table, configuration),
    ]


def _of_columns(table: CapturedTable, configuration: ConnectorConfiguration) -> list[Rule]:
    name = table.table_name
    generated = [
        (
            configuration.captures_column(name, column),
            f"{name}.{column} is generated: snapshots would carry it, changes would not",
            f"Add {name}.{column} to the connector's `column.exclude.list`.",
        )
        for column in table.generated_columns
    ]
    nullable_with_default = [
        (
            configuration.captures_column(name, column) and not configuration.has_json_values,
            f"{name}.{column} may be NULL and has a default: in Avro, NULL would arrive as the default",
            f"ALTER TABLE {name} ALTER COLUMN {column} DROP DEFAULT;",
        )
        for column in table.nullable_columns_with_default
    ]
    return generated + nullable_with_default


def _of_slot(slot: Slot, configuration: ConnectorConfiguration) -> list[Rule]:
    begin_anew = "Run `readmodels epoch open --resnapshot`: the log must go on with a new slot and a snapshot."
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
            "Start the connector now, or raise max_slot_wal_keep_size.",
        ),
    ]
