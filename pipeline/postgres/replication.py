"""Replication role and replication slot of the connector."""

import time
from dataclasses import dataclass

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo
from psycopg.rows import class_row

from pipeline.postgres.database import (
    Connection,
    InsufficientPrivilege,
    SourceError,
    connect,
    load_sql,
    run_sql_file,
    session,
)
from pipeline.service_addresses import SourceSettings

POLL_INTERVAL_S = 0.1
MADE_BY = "created by readmodels init"
"""Comment on a replication role that `init` created."""


class SlotInUse(SourceError):
    """The replication slot is still being read, so it cannot be dropped.

    Args:
        name: name of the slot.
    """

    def __init__(self, problem: str, name: str) -> None:
        super().__init__(problem)
        end = sql.SQL("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = {};").format(
            sql.Literal(name)
        )
        self.remedy = (
            f"End the connector or program that reads the slot, or its session: {end.as_string()} Then repeat the "
            "command."
        )


@dataclass(frozen=True)
class Slot:
    """State of a replication slot. LSNs are byte positions in the WAL; `safe_wal_bytes` is None without a limit."""

    name: str
    database: str
    plugin: str
    is_active: bool
    wal_status: str | None
    safe_wal_bytes: int | None
    restart_lsn: int | None
    confirmed_flush_lsn: int | None
    retained_wal_bytes: int | None


def can_replicate(settings: SourceSettings) -> bool:
    """Return whether the replication role can log in from here with its password, and may replicate."""
    url = make_conninfo(settings.url, user=settings.replication_role, password=settings.replication_password)
    try:
        with session(url, is_autocommit=True) as connection:
            found = connection.execute("SELECT rolreplication FROM pg_roles WHERE rolname = current_user").fetchone()
            return found == (True,)
    except psycopg.OperationalError:
        return False


def create_role(settings: SourceSettings) -> None:
    """Create the replication role, or restore its REPLICATION attribute and its password.

    The server receives a SCRAM verifier, never the password, so that no log or error can contain the password.

    Raises:
        InsufficientPrivilege: the admin role may not create this role.
    """
    role = settings.replication_role
    with connect(settings.admin_url) as connection:
        verifier = connection.pgconn.encrypt_password(
            settings.replication_password.encode(), role.encode(), b"scram-sha-256"
        )
        run_sql_file(
            connection,
            "replication_role.sql",
            role_name=sql.Literal(role),
            role=sql.Identifier(role),
            verifier=sql.Literal(verifier.decode()),
            made_by=sql.Literal(MADE_BY),
        )


def read_slot(connection: Connection, name: str) -> Slot | None:
    """Read the state of a replication slot; None if it does not exist."""
    with connection.cursor(row_factory=class_row(Slot)) as cursor:
        return cursor.execute(load_sql("replication_slot.sql"), {"slot": name}).fetchone()


def drop_slot(connection: Connection, name: str, timeout_s: float) -> bool:
    """Drop a replication slot once it is inactive. A forgotten slot fills the source's disk with WAL.

    Returns: whether the slot existed.

    Raises:
        SlotInUse: the slot was still active after `timeout_s`.
    """
    deadline = time.monotonic() + timeout_s
    while (slot := read_slot(connection, name)) and slot.is_active:
        if time.monotonic() > deadline:
            raise SlotInUse(f"slot {name} is still read after {timeout_s:g} s", name)
        time.sleep(POLL_INTERVAL_S)
    if slot is None:
        return False
    try:
        connection.execute("SELECT pg_drop_replication_slot(%s)", [name])
    except psycopg.errors.ObjectInUse as error:
        raise SlotInUse(f"slot {name} is read again", name) from error
    return True


def send_signal(connection: Connection, table: str, signal_id: str, kind: str, data: str) -> None:
    """Send a signal to the connector through its signal table.

    Args:
        table: the signal table, as `schema.table`.
        data: the data of the signal, as Debezium defines it for this kind.

    Raises:
        InsufficientPrivilege: the role of this connection may not write to the table.

    Source: https://debezium.io/documentation/reference/3.6/configuration/signalling.html
    """
    query = sql.SQL("INSERT INTO {} (id, type, data) VALUES (%s, %s, %s)").format(sql.Identifier(*table.split(".")))
    try:
        connection.execute(query, [signal_id, kind, data])
    except psycopg.errors.InsufficientPrivilege as error:
        raise InsufficientPrivilege(f"{table}: {error.diag.message_primary}") from error
