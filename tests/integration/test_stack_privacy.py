"""Tests of the local stack beside other users of the machine: loopback is shared, files and permissions are not."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from redis import Redis
from redis.exceptions import AuthenticationError, ResponseError

from stack.local import SERVERS, LocalStack

DANGEROUS = (
    ("MODULE", "LOAD", "/tmp/evil.so"),
    ("CONFIG", "SET", "dir", "/tmp"),
    ("DEBUG", "SLEEP", "0"),
    ("REPLICAOF", "127.0.0.1", "1"),
    ("SLAVEOF", "127.0.0.1", "1"),
    ("MIGRATE", "127.0.0.1", "1", "key", "0", "100"),
    ("ACL", "SETUSER", "default", "nopass"),
    ("SHUTDOWN", "NOSAVE"),
    ("MONITOR",),
    ("BGSAVE",),
)


def test_no_other_user_reads_a_file_or_enters_a_folder_of_the_stack(local_stack: LocalStack) -> None:
    open_to_others = [str(path) for path in everything_in(local_stack.home) if path.stat().st_mode & 0o077]
    assert open_to_others == []


def test_redis_answers_no_client_without_its_password(local_stack: LocalStack) -> None:
    port = json.loads((local_stack.home / "ports.json").read_text())["redis"]
    with Redis(port=port) as stranger, pytest.raises(AuthenticationError):
        stranger.ping()


@pytest.mark.parametrize("words", DANGEROUS, ids=" ".join)
def test_no_client_of_redis_loads_code_or_reconfigures_the_server(
    local_stack: LocalStack, words: tuple[str, ...]
) -> None:
    with (
        Redis.from_url(local_stack.up().redis) as client,
        pytest.raises(ResponseError, match=r"not allowed|no permissions"),
    ):
        client.execute_command(*words)
    assert local_stack.pid("redis") is not None


def test_no_server_keeps_a_right_of_root(local_stack: LocalStack) -> None:
    for name in SERVERS:
        pid = local_stack.pid(name)
        assert pid is not None
        for process in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True)):
            status = dict(line.split(":\t", 1) for line in status_of(process.pid).splitlines())
            assert process.uids().real != 0
            for rights in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
                assert int(status[rights], 16) == 0, f"{name}: {rights} {status[rights]}"
            if os.geteuid() == 0:
                assert status["NoNewPrivs"] == "1"


def everything_in(home: Path) -> Iterator[Path]:
    """Yield a stack's folder and everything below it, including the targets of links."""
    yield home
    for folder, names, files in os.walk(home, followlinks=True):
        for name in (*names, *files):
            path = Path(folder, name)
            # A server may remove a file while the folder is listed.
            if path.exists():
                yield path


def status_of(pid: int) -> str:
    return Path(f"/proc/{pid}/status").read_text()
