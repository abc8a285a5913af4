"""Addresses of the services, as they are configured."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import SplitResult, parse_qs, urlsplit


@dataclass(frozen=True, kw_only=True)
class ServiceSettings:
    """Where a service answers, as a URL."""

    url: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class RedisSettings(ServiceSettings):
    """The cache.

    Args:
        url: as `redis://user:password@host:port/0`, `rediss://…` for TLS, or `unix:///path`.
    """

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("redis", "rediss", "unix"):
            raise ValueError("the URL begins with redis://, rediss:// or unix://")
        path = "" if parts.scheme == "unix" else parts.path.strip("/")
        for database in (path, *parse_qs(parts.query).get("db", ())):
            if database not in ("", "0"):
                raise ValueError(
                    f"the URL names database {database}: the model uses every database of its server, and readers find "
                    "it in database 0"
                )


@dataclass(frozen=True, kw_only=True)
class ElasticsearchSettings:
    """The index.

    Args:
        url: of a node, as `https://user:password@host:port/base/path`; the path is that of a proxy before it.
        request_timeout_s: after which a request counts as unanswered.
    """

    url: str = field(repr=False)
    request_timeout_s: float = 30.0

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("the URL begins with http:// or https://, and a host follows")
        if _port(parts) is None:
            raise ValueError(f"the URL names no port: add :9200, or :{443 if parts.scheme == 'https' else 80}")
        if parts.query or parts.fragment:
            raise ValueError("the URL ends with the path: Elasticsearch's client takes no parameters from it")


def _port(parts: SplitResult) -> int | None:
    try:
        return parts.port
    except ValueError:
        raise ValueError("the URL's port is not a number from 0 to 65535") from None
