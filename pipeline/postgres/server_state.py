"""State of the PostgreSQL server on which an epoch depends."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg.rows import class_row

from pipeline.postgres.database import Connection, load_sql


@dataclass(frozen=True)
class ServerState:
    """Server state at one moment.

    Args:
        system_identifier: identifier of the system that writes the WAL; a promoted standby keeps it.
        current_lsn: end of the written WAL, in bytes.
        reader: the process that reads the connector's slot; None if the slot is inactive.
    """

    system_identifier: str
    current_lsn: int
    reader: int | None


def read_server_state(connection: Connection, slot: str) -> ServerState:
    """Read the current state.

    Args:
        slot: name of the connector's slot.
    """
    with connection.cursor(row_factory=class_row(ServerState)) as cursor:
        return next(iter(cursor.execute(load_sql("source_facts.sql"), {"slot": slot})))
