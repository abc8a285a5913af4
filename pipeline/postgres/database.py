"""Connections to the source, its errors, and the files of `sql/`."""

from importlib.resources import files

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from connectors.source_session import LATER_SETTINGS, OPTIONS

CONNECT_TIMEOUT_S = 10

Connection = psycopg.Connection[tuple[object, ...]]


class SourceError(Exception):
    """The source database refused a request."""

    remedy = (
        "Correct what PostgreSQL names in this message, such as an object of the same name, then repeat the command."
    )


class SourceUnavailable(SourceError):
    """The source database refuses connections."""

    remedy = "Start PostgreSQL, or correct `source.url` and `source.admin_url`."


class InsufficientPrivilege(SourceError):
    """The role of the connection lacks a privilege that the setup needs."""

    remedy = (
        "Run `readmodels init --print-sql`, and have its statements run by the roles that it names; then run "
        "`readmodels init`. Or let `source.url` name the owner of the tables, and `source.admin_url` a superuser."
    )


def connect(url: str) -> Connection:
    """Open a connection on which every statement is a transaction.

    Raises:
        SourceUnavailable: the server does not answer, or refuses the login.
    """
    try:
        return session(url, is_autocommit=True)
    except psycopg.OperationalError as error:
        raise SourceUnavailable(str(error).strip()) from error


def session(url: str, *, is_autocommit: bool) -> Connection:
    """Open a connection with the settings that all queries here rely on.

    Raises:
        psycopg.OperationalError: the server does not answer, or refuses the login.
    """
    own = conninfo_to_dict(url).get("options") or ""
    *newer, oldest = (f"{own} {options}" for options in OPTIONS)
    for options in newer:
        try:
            return _session(url, options, is_autocommit=is_autocommit)
        except psycopg.OperationalError as error:
            if not any(name in str(error) for name in LATER_SETTINGS):
                raise
    return _session(url, oldest, is_autocommit=is_autocommit)


def _session(url: str, options: str, *, is_autocommit: bool) -> Connection:
    timeout_s = conninfo_to_dict(url).get("connect_timeout") or CONNECT_TIMEOUT_S
    return psycopg.connect(
        url, options=options, client_encoding="UTF8", connect_timeout=timeout_s, autocommit=is_autocommit
    )


def load_sql(name: str) -> str:
    """Read one file of `sql/`."""
    return files("sql").joinpath(name).read_text(encoding="utf-8")


def run_sql_file(connection: Connection, name: str, **parts: sql.Composable) -> None:
    """Run one file of `sql/` as one transaction, with its `{names}` replaced by quoted parts.

    Raises:
        InsufficientPrivilege: the role of this connection lacks a privilege.
        SourceError: the database refused for another reason.
    """
    text = sql.SQL(load_sql(name))
    try:
        connection.execute(text.format(**parts) if parts else text)
    except psycopg.errors.InsufficientPrivilege as error:
        raise InsufficientPrivilege(f"{name}: {error.diag.message_primary}") from error
    except psycopg.Error as error:
        raise SourceError(f"{name}: {error.diag.message_primary or error}") from error
