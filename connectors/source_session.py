"""Session settings at the source, for readmodels and Debezium, whatever the database or the role prescribes.

They are part of the first message of a connection. So they apply before the first statement, and override the settings
of ALTER DATABASE and ALTER ROLE.

Source: https://www.postgresql.org/docs/current/runtime-config-client.html
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

SETTINGS: Mapping[str, str] = MappingProxyType(
    {
        # Text format of values.
        "datestyle": "ISO,MDY",
        "intervalstyle": "postgres",
        "timezone": "UTC",
        "bytea_output": "hex",
        "extra_float_digits": "1",
        "lc_monetary": "C",
        "quote_all_identifiers": "off",
        # Meaning of statements.
        "search_path": "public",
        "standard_conforming_strings": "on",
        "transform_null_equals": "off",
        "array_nulls": "on",
        "role": "none",
        # With this setting, a query fails if a policy would hide rows from it.
        "row_security": "off",
        # Transactions and their timeouts.
        "default_transaction_isolation": "read committed",
        "default_transaction_read_only": "off",
        "default_transaction_deferrable": "off",
        "statement_timeout": "0",
        "lock_timeout": "0",
        "idle_in_transaction_session_timeout": "0",
    }
)

LATER_SETTINGS: Mapping[str, int] = MappingProxyType({"idle_session_timeout": 14, "transaction_timeout": 17})
"""Settings that must be zero, with the PostgreSQL version that added them. An earlier server rejects the connection."""


def startup_options(version: int) -> str:
    """Return the settings as the connection parameter `options`.

    Args:
        version: the lowest possible version of the server, such as 17.
    """
    known = {name: "0" for name, since in LATER_SETTINGS.items() if since <= version}
    return " ".join(f"-c {name}={value.replace(' ', chr(92) + ' ')}" for name, value in {**SETTINGS, **known}.items())


OPTIONS = tuple(startup_options(version) for version in (17, 14, 0))
"""Options by server version, newest first."""
