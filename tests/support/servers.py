"""Fixtures for the real servers that the tests run against."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest
from testcontainers.compose import DockerCompose

from stack.endpoints import Endpoints
from stack.local import LocalStack
from tests.support.checkout import CHECKOUT

GIVEN = "READMODELS_TEST_ENDPOINTS"
"""The environment variable that names servers to test against, as the JSON object of `up --json`."""


@pytest.fixture(scope="session")
def endpoints(request: pytest.FixtureRequest) -> Endpoints:
    """Return the endpoints of the servers: from the environment if given, else containers, else the local stack."""
    if given := os.environ.get(GIVEN):
        return Endpoints.from_json(given)
    found: Endpoints = request.getfixturevalue("containers" if docker_answers() else "local_endpoints")
    return found


@pytest.fixture(scope="session")
def local_endpoints(local_stack: LocalStack) -> Endpoints:
    """Return the endpoints of the tests' own local stack."""
    return local_stack.up()


@pytest.fixture(scope="session")
def local_stack() -> Iterator[LocalStack]:
    """Yield a running stack, empty at first, whose servers a test may stop and kill.

    The servers keep running afterwards.
    """
    with own_home() as home:
        stack = LocalStack(home)
        stack.down()
        shutil.rmtree((home / "data").resolve(), ignore_errors=True)
        stack.up()
        yield stack
        stack.down()


@pytest.fixture(scope="session")
def containers() -> Iterator[Endpoints]:
    """Yield the endpoints of the servers in docker-compose.yml.

    The servers are started for this run and removed with their data after it.
    """
    servers = ["postgres", "kafka", "registry", "connect", "elasticsearch", "redis"]
    settings = dict(
        line.split("=", 1) for line in (CHECKOUT / ".env").read_text().splitlines() if line and line[0] != "#"
    )
    with DockerCompose(CHECKOUT, services=servers, build=True, wait=True):
        yield Endpoints(
            postgres=f"postgresql://orders:{settings['ORDERS_PASSWORD']}@127.0.0.1:5432/orders_db",
            postgres_admin=f"postgresql://postgres:{settings['POSTGRES_PASSWORD']}@127.0.0.1:5432/orders_db",
            kafka="127.0.0.1:9092",
            connect="http://127.0.0.1:8083",
            schema_registry="http://127.0.0.1:8081/apis/ccompat/v7",
            elasticsearch="http://127.0.0.1:9200",
            redis="redis://127.0.0.1:6379/0",
            duckdb="quack:127.0.0.1:9494",
            duckdb_token=settings["DUCKDB_TOKEN"],
            duckdb_copy=str(CHECKOUT / ".readmodels-test" / "duckdb" / "published.duckdb"),
            replication_password=settings["REPLICATION_PASSWORD"],
        )


def docker_answers() -> bool:
    """Return whether a Docker engine answers on this machine."""
    if shutil.which("docker") is None:
        return False
    return subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0


@contextmanager
def own_home() -> Iterator[Path]:
    """Lock the first stack folder that no other test run has locked."""
    for number in count(1):
        home = CHECKOUT / f".readmodels-test{'' if number == 1 else f'-{number}'}"
        home.mkdir(exist_ok=True)
        with (home / "tests.lock").open("w") as lock:
            Path(lock.name).chmod(0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            yield home
            return
