"""Local PostgreSQL: the source of the orders, and the schema registry's store."""

from __future__ import annotations

import shutil
import signal
import subprocess
from typing import ClassVar
from urllib.parse import quote

import psycopg
from psycopg import sql

from stack.errors import startup_error
from stack.paths import LOOPBACK
from stack.process import Command
from stack.server import Server

DATABASE = "orders_db"
OWNER = "orders"
REGISTRY = "registry"
_SUPERUSER = "postgres"

_SETTINGS = """\
listen_addresses = '{host}'
port = {port}
unix_socket_directories = ''
wal_level = logical
max_wal_senders = 20
max_replication_slots = 20
max_slot_wal_keep_size = 2GB
shared_buffers = 64MB
track_commit_timestamp = on
timezone = 'UTC'
log_timezone = 'UTC'
"""


class Postgres(Server):
    """PostgreSQL with logical decoding, passwords, and one database each for the orders and the registry."""

    name: ClassVar[str] = "postgres"
    port_names: ClassVar[tuple[str, ...]] = ("postgres",)
    # SIGINT is a fast shutdown: a smart one waits for clients to disconnect, and the connector never does.
    stop_signal: ClassVar[signal.Signals] = signal.SIGINT

    @property
    def url(self) -> str:
        """The URL of the orders database as the owner of its tables."""
        return self._url(OWNER, self._site.secrets.owner_password, DATABASE)

    @property
    def admin_url(self) -> str:
        """The URL of the orders database as superuser."""
        return self._url(_SUPERUSER, self._site.secrets.superuser_password, DATABASE)

    def prepare(self) -> None:
        cluster = self.data / "cluster"
        if not (cluster / "PG_VERSION").exists():
            self._initialise()
        self._site.account.write(cluster / "postgresql.auto.conf", _SETTINGS.format(host=LOOPBACK, port=self.port))

    def command(self) -> Command:
        program = str(self._site.programs.postgres / "postgres")
        return Command(
            arguments=(*self._site.account.prefix, program, "-D", str(self.data / "cluster")),
            environment={"LC_ALL": "C.UTF-8"},
            folder=self.data,
        )

    def is_ready(self) -> bool:
        try:
            with self._connect("postgres"):
                return True
        except psycopg.OperationalError:
            return False

    def post_start(self) -> None:
        secrets = self._site.secrets
        with self._connect("postgres") as admin:
            for role, password, database in (
                (OWNER, secrets.owner_password, DATABASE),
                (REGISTRY, secrets.registry_password, REGISTRY),
            ):
                if not admin.execute("SELECT FROM pg_roles WHERE rolname = %s", [role]).rowcount:
                    # The server gets only the hash, so that no statement log can contain a password.
                    hashed = admin.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256")
                    statement = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}")
                    admin.execute(statement.format(sql.Identifier(role), sql.Literal(hashed.decode())))
                if not admin.execute("SELECT FROM pg_database WHERE datname = %s", [database]).rowcount:
                    statement = sql.SQL("CREATE DATABASE {} OWNER {}")
                    admin.execute(statement.format(sql.Identifier(database), sql.Identifier(role)))

    def _initialise(self) -> None:
        """Create the cluster in another folder and rename it, so that a partial cluster is never started."""
        password = self._site.account.write(self.data / "password", self._site.secrets.superuser_password)
        fresh = self.data / "fresh"
        arguments = [
            *self._site.account.prefix,
            str(self._site.programs.postgres / "initdb"),
            f"--pgdata={fresh}",
            f"--username={_SUPERUSER}",
            f"--pwfile={password}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--locale=C",
        ]
        if fresh.exists():
            shutil.rmtree(fresh)
        made = subprocess.run(arguments, capture_output=True, text=True, cwd=self.data, check=False)
        password.unlink()
        if made.returncode != 0:
            raise startup_error(self.name, made.stderr.strip())
        fresh.rename(self.data / "cluster")

    def _connect(self, database: str) -> psycopg.Connection[tuple[object, ...]]:
        url = self._url(_SUPERUSER, self._site.secrets.superuser_password, database)
        return psycopg.connect(url, autocommit=True, connect_timeout=5)

    def _url(self, user: str, password: str, database: str) -> str:
        return f"postgresql://{user}:{quote(password)}@{self.address}/{database}"
