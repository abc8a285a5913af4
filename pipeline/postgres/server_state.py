"""What PostgreSQL says of itself that a life of the log depends on."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg.rows import class_row

from pipeline.postgres.database import Connection, load_sql


@dataclass(frozen=True)
class ServerState:
    """One look.

    Args:
        system_identifier: that of the system that writes the WAL; a standby that was promoted keeps it.
        current_lsn: how far the WAL has been written, in bytes.
        reader: the process that reads the connector's slot; None where nobody does.
    """

    system_identifier: str
    current_lsn: int
    reader: int | None


def read_server_state(connection: Connection, slot: str) -> ServerState:
    """Look now.

    Args:
        slot: the connector's.
    """
    with connection.cursor(row_factory=class_row(ServerState)) as cursor:
        return next(iter(cursor.execute(load_sql("source_facts.sql"), {"slot": slot})))
