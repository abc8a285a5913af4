"""Tests of the files that a stack's folder keeps from one start to the next."""

from __future__ import annotations

import json
import socket
import stat
from pathlib import Path

from stack.endpoints import Endpoints
from stack.paths import PORT_NAMES, StackPaths, is_free

ADDRESSES = Endpoints(
    postgres="postgresql://orders:secret@127.0.0.1:15000/orders_db",
    postgres_admin="postgresql://postgres:secret@127.0.0.1:15000/orders_db",
    kafka="127.0.0.1:15001",
    connect="http://127.0.0.1:15002",
    schema_registry="http://127.0.0.1:15003/apis/ccompat/v7",
    elasticsearch="http://127.0.0.1:15004",
    redis="redis://127.0.0.1:15005/0",
    duckdb="quack:127.0.0.1:15006",
    duckdb_token="secret",
    duckdb_copy="published.duckdb",
    replication_password="secret",
)


def test_ports_are_chosen_once_and_all_differ(tmp_path: Path) -> None:
    chosen = StackPaths(tmp_path).ports()
    assert set(chosen) == set(PORT_NAMES)
    assert len(set(chosen.values())) == len(PORT_NAMES)
    assert StackPaths(tmp_path).ports() == chosen


def test_a_port_that_a_later_version_needs_is_added_to_those_that_are_kept(tmp_path: Path) -> None:
    chosen = StackPaths(tmp_path).ports()
    earlier = {name: port for name, port in chosen.items() if name != "redis"}
    StackPaths(tmp_path).ports_file.write_text(json.dumps(earlier))
    assert earlier.items() < StackPaths(tmp_path).ports().items()


def test_ports_lie_below_those_that_systems_give_to_clients(tmp_path: Path) -> None:
    assert max(StackPaths(tmp_path).ports().values()) < 32_768


def test_a_port_with_a_listener_is_not_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert not is_free(port)
    assert is_free(port)


def test_secrets_are_made_once_for_their_owner_only_and_never_printed(tmp_path: Path) -> None:
    made = StackPaths(tmp_path).secrets()
    assert StackPaths(tmp_path).secrets() == made
    assert stat.S_IMODE((tmp_path / "secrets.json").stat().st_mode) == 0o600
    assert made.owner_password not in f"{made} {made!r}"
    assert len({made.owner_password, made.superuser_password, made.replication_password}) == 3


def test_endpoints_are_read_back_as_they_were_written(tmp_path: Path) -> None:
    file = tmp_path / "endpoints.json"
    assert Endpoints.read(file) is None
    file.write_text(ADDRESSES.to_json())
    assert Endpoints.read(file) == ADDRESSES


def test_endpoints_do_not_print_their_secrets() -> None:
    assert "secret" not in f"{ADDRESSES} {ADDRESSES!r}"


def test_a_secret_that_a_later_version_needs_is_added_to_those_that_are_kept(tmp_path: Path) -> None:
    made = StackPaths(tmp_path).secrets()
    file = tmp_path / "secrets.json"
    earlier = {name: secret for name, secret in json.loads(file.read_text()).items() if name != "redis_password"}
    file.write_text(json.dumps(earlier))
    now = StackPaths(tmp_path).secrets()
    assert now.owner_password == made.owner_password
    assert len(now.redis_password) >= 32
