"""Captured tables of the connector, and what PostgreSQL's catalog says about them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from psycopg.rows import class_row

from connectors.debezium import ConnectorConfiguration
from pipeline.definitions import ModelDefinitions
from pipeline.postgres.database import Connection, load_sql
from pipeline.postgres.replication import Slot, read_slot


@dataclass(frozen=True)
class Capture:
    """Captured tables, the connector that captures them, and the definitions of the read models.

    Args:
        role: the role as which the connector reads.
        columns: the described columns of each described table, by `schema.table`. Values of other columns and tables do
            not matter, because no model shows them.
        definitions: definitions of the read models; None if there are none, so that no key is checked.
    """

    connector: ConnectorConfiguration
    role: str
    columns: Mapping[str, Collection[str]] = field(default_factory=dict)
    definitions: ModelDefinitions | None = None

    def describes(self, table: str, column: str) -> bool:
        """Return whether a model contains the column and the connector sends it."""
        return column in self.columns.get(table, ()) and self.connector.captures_column(table, column)


@dataclass(frozen=True)
class DatabaseState:
    """State of the server, the database and the publication, as far as the preconditions need it.

    Args:
        server_version: its major version, such as 18.
        are_stored_columns_published: the publication contains stored generated columns, as PostgreSQL 18 can.
        publication_identity: its oid; empty if there is no publication.
        publication_version: the transaction that wrote its catalog row.
        publication_content: a digest of that row.
    """

    wal_level: str
    encoding: str
    is_published: bool
    is_every_operation_published: bool
    published_tables: list[str]
    partly_published_tables: list[str]
    server_version: int = 0
    are_stored_columns_published: bool = False
    publication_identity: str = ""
    publication_version: str = ""
    publication_content: str = ""


@dataclass(frozen=True)
class CapturedTable:
    """Table whose changes are captured, as far as the preconditions need it.

    Args:
        table_name: `schema.table`, as in the catalog.
        quoted_name, quoted_schema: the same, quoted for SQL.
        is_row_secured: row security hides rows from the connector's role.
        is_schema_usable, is_readable: the connector's role may use the schema, and read the table.
        table_identity, key_identity: oids of the table and of its primary key; empty if missing.
        generated_columns: those that are not published.
        publishable_columns: stored ones of them, if the publication could contain them.
        stored_columns, virtual_columns: the two kinds of generated columns.
        unpublished_stored_columns, unpublished_virtual_columns: generated columns because of which PostgreSQL refuses
            to change the table's rows; none before PostgreSQL 18.
        replica_identity: the letter in `pg_class.relreplident`; `i` is the index `replica_identity_index`.
        is_owned, is_schema_owned: the role of the connection may alter the table, and grant rights on its schema.
        columns: every column of the table.
        publication_entries: the entries that put the table into the publication, each with its oid.
        table_version: the transaction that wrote the table's catalog row.
        columns_with_default: columns whose value PostgreSQL fills in, without generated ones.
    """

    table_name: str
    quoted_name: str
    quoted_schema: str
    is_present: bool
    is_plain: bool
    is_identity_full: bool
    is_row_secured: bool
    is_schema_usable: bool
    is_readable: bool
    is_keyed: bool
    is_key_deferrable: bool
    generated_columns: list[str]
    table_identity: str = ""
    key_identity: str = ""
    publishable_columns: list[str] = field(default_factory=list)
    unpublished_stored_columns: list[str] = field(default_factory=list)
    unpublished_virtual_columns: list[str] = field(default_factory=list)
    publication_entries: list[str] = field(default_factory=list)
    table_version: str = ""
    columns_with_default: list[str] = field(default_factory=list)
    stored_columns: list[str] = field(default_factory=list)
    virtual_columns: list[str] = field(default_factory=list)
    replica_identity: str = ""
    replica_identity_index: str | None = None
    is_owned: bool = True
    is_schema_owned: bool = True
    columns: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class SourceState:
    """State of the source, read at one moment."""

    database: DatabaseState
    tables: list[CapturedTable]
    slot: Slot | None


def read_source(connection: Connection, capture: Capture) -> SourceState:
    """Read the state that the preconditions check. Changes nothing."""
    connector = capture.connector
    named = {"tables": list(connector.tables), "publication": connector.publication, "role": capture.role}
    with connection.cursor(row_factory=class_row(DatabaseState)) as cursor:
        database = next(iter(cursor.execute(load_sql("source_database.sql"), named)))
    with connection.cursor(row_factory=class_row(CapturedTable)) as cursor:
        tables = cursor.execute(load_sql("captured_tables.sql"), named).fetchall()
    return SourceState(database, tables, read_slot(connection, connector.slot))
