"""The settings of every session at the source, ours and Debezium's, whatever the database or the role prescribes.

They travel in the first message of a connection, so that they are in force before the first statement, and win over
those of ALTER DATABASE and ALTER ROLE.

Source: https://www.postgresql.org/docs/current/runtime-config-client.html
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

SETTINGS: Mapping[str, str] = MappingProxyType(
    {
        # The text of values.
        "datestyle": "ISO,MDY",
        "intervalstyle": "postgres",
        "timezone": "UTC",
        "bytea_output": "hex",
        "extra_float_digits": "1",
        "lc_monetary": "C",
        "quote_all_identifiers": "off",
        # The meaning of statements.
        "search_path": "public",
        "standard_conforming_strings": "on",
        "transform_null_equals": "off",
        "array_nulls": "on",
        "role": "none",
        # A query that a policy would hide rows from fails.
        "row_security": "off",
        # Transactions, and how long they may take.
        "default_transaction_isolation": "read committed",
        "default_transaction_read_only": "off",
        "default_transaction_deferrable": "off",
        "statement_timeout": "0",
        "lock_timeout": "0",
        "idle_in_transaction_session_timeout": "0",
    }
)

LATER_SETTINGS: Mapping[str, int] = MappingProxyType({"idle_session_timeout": 14, "transaction_timeout": 17})
"""Settings that have to be zero, and the version of PostgreSQL that brought them: one before it refuses to connect."""


def startup_options(version: int) -> str:
    """The settings as the parameter `options` of a connection.

    Args:
        version: the oldest that the server may be, such as 17.
    """
    known = {name: "0" for name, since in LATER_SETTINGS.items() if since <= version}
    return " ".join(f"-c {name}={value.replace(' ', chr(92) + ' ')}" for name, value in {**SETTINGS, **known}.items())


OPTIONS = tuple(startup_options(version) for version in (17, 14, 0))
"""What a server is given: first what it knows if it is new."""
