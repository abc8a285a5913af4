"""Addresses of the services, from the configuration."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import SplitResult, parse_qs, urlsplit

import psycopg
from psycopg.conninfo import conninfo_to_dict

_UNKNOWN_PARAMETER = re.compile(r'(?:invalid URI query parameter: |invalid connection option )"(\w+)"')
_NO_URL = "is no libpq URL: postgresql://user:password@host:port/database, where %40 stands for @ in a password"


@dataclass(frozen=True, kw_only=True)
class ServiceSettings:
    """URL of a service."""

    url: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class RedisSettings(ServiceSettings):
    """Settings of Redis, the cache.

    Args:
        url: such as `redis://user:password@host:port/0`, `rediss://…` for TLS, or `unix:///path`.
    """

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("redis", "rediss", "unix"):
            raise ValueError("the URL must begin with redis://, rediss:// or unix://")
        path = "" if parts.scheme == "unix" else parts.path.strip("/")
        for database in (path, *parse_qs(parts.query).get("db", ())):
            if database not in ("", "0"):
                raise ValueError(
                    f"the URL names database {database}: the model uses every database of its server, and readers find "
                    "it in database 0"
                )


@dataclass(frozen=True, kw_only=True)
class ElasticsearchSettings:
    """Settings of Elasticsearch, the search index.

    Args:
        url: URL of a node, such as `https://user:password@host:port/base/path`; the path is that of a proxy before it.
        request_timeout_s: time after which a request counts as unanswered.
    """

    url: str = field(repr=False)
    request_timeout_s: float = 30.0

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("the URL must begin with http:// or https:// and a host")
        if _port(parts) is None:
            raise ValueError(f"the URL names no port: add :9200, or :{443 if parts.scheme == 'https' else 80}")
        if parts.query or parts.fragment:
            raise ValueError("the URL must end with the path: Elasticsearch's client accepts no parameters in it")


def _port(parts: SplitResult) -> int | None:
    try:
        return parts.port
    except ValueError:
        raise ValueError("the URL's port is not a number from 0 to 65535") from None


@dataclass(frozen=True, kw_only=True)
class SourceSettings:
    """Settings of the source database.

    Args:
        url: libpq URL of the tables' owner.
        admin_url: libpq URL of a role that may create roles, such as a superuser. It is used for the replication role,
            its slot, and statements that the owner may not run; empty for the same as `url`.
        replication_role, replication_password: login of the connector.
    """

    url: str = field(repr=False)
    admin_url: str = field(default="", repr=False)
    replication_password: str = field(repr=False)
    replication_role: str = "debezium"

    def __post_init__(self) -> None:
        if not self.admin_url:
            object.__setattr__(self, "admin_url", self.url)
        for name, url in (("url", self.url), ("admin_url", self.admin_url)):
            if problem := _problem_of(url):
                raise ValueError(f"{name} {problem}")

    @property
    def database(self) -> str:
        """Name of the database; empty if the URL leaves it to libpq."""
        return str(conninfo_to_dict(self.url).get("dbname") or "")

    @property
    def address(self) -> tuple[str, str]:
        """Host and port of the server, as the URL names them; empty where it leaves them to libpq."""
        parts = conninfo_to_dict(self.url)
        return str(parts.get("host") or ""), str(parts.get("port") or "")


def _problem_of(url: str) -> str | None:
    """Return why a URL cannot be used; None if libpq can parse it. The text contains no secret part of the URL."""
    try:
        host = str(conninfo_to_dict(url).get("host") or "")
    except psycopg.ProgrammingError as error:
        parameter = _UNKNOWN_PARAMETER.search(str(error))
        return f"has the parameter {parameter[1]!r}, which libpq does not know" if parameter else _NO_URL
    # libpq takes the text after an @ within a password for the host. A host that begins with @ is an abstract socket.
    return _NO_URL if "@" in host[1:] else None
