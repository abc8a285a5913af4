"""Requirements for a Redis server, with a remedy for each that is not met."""

from __future__ import annotations

from dataclasses import dataclass

from redis import Redis

from sinks.redis.connection import translate_errors

_OLDEST = (6, 2)


@dataclass(frozen=True)
class ServerFinding:
    """Property of a server that an operator should change.

    Args:
        problem: the property.
        remedy: the required change.
        is_fatal: the read model would be wrong, or could not be written.
    """

    problem: str
    remedy: str
    is_fatal: bool


def check_server(client: Redis) -> list[ServerFinding]:
    """Check a server, and return the findings; an empty list means that it is suitable.

    Raises:
        StoreUnavailable: the server does not answer, or does not allow this user to run `INFO`.
    """
    with translate_errors():
        told = client.info()
    findings = []
    version = str(told.get("redis_version", "0"))
    if tuple(int(number) for number in version.split(".")[:2]) < _OLDEST:
        findings.append(
            ServerFinding(
                f"Redis {version} is too old",
                "Set READMODELS_REDIS__URL to a server of Redis 6.2 or later, or of Valkey.",
                is_fatal=True,
            )
        )
    if told.get("cluster_enabled"):
        findings.append(
            ServerFinding(
                "the server is part of a Redis Cluster, which has one database and no SWAPDB",
                "Set READMODELS_REDIS__URL to a server with `cluster-enabled no`.",
                is_fatal=True,
            )
        )
    policy = str(told.get("maxmemory_policy", ""))
    if policy.startswith("allkeys-"):
        findings.append(
            ServerFinding(
                f"maxmemory-policy {policy} evicts registers, so that old changes would be applied as new ones",
                "Run `redis-cli CONFIG SET maxmemory-policy noeviction`, and set it in redis.conf too.",
                is_fatal=True,
            )
        )
    if not told.get("aof_enabled"):
        findings.append(
            ServerFinding(
                "appendonly is off: a restart loses what was written since the last snapshot file, to be read again",
                "Run `redis-cli CONFIG SET appendonly yes`, and set it in redis.conf too.",
                is_fatal=False,
            )
        )
    return findings
