"""Local stack of all servers: start, stop, and failure of single servers."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from stack.artifacts import default_cache
from stack.connect import Connect
from stack.dependency_order import run_in_dependency_order
from stack.elasticsearch import Elasticsearch
from stack.endpoints import Endpoints
from stack.errors import StackBusy
from stack.java import find_java
from stack.kafka import Kafka
from stack.paths import LOOPBACK, StackPaths, write_private_file
from stack.postgres import Postgres
from stack.preconditions import room_on_disk
from stack.process import running_process
from stack.programs import install
from stack.progress import NullReport, Report
from stack.redis import Redis
from stack.registry import Registry
from stack.server import Server, ServerContext
from stack.server_folders import link_folders
from stack.server_user import server_user
from stack.startup import Startup

SERVERS: dict[str, type[Server]] = {
    kind.name: kind for kind in (Postgres, Kafka, Redis, Elasticsearch, Registry, Connect)
}
"""All servers by name, each after its dependencies."""

_NEEDED_BY = {name: [other for other, kind in SERVERS.items() if name in kind.needs] for name in reversed(SERVERS)}
_OTHERS_FINISH_WITHIN_S = 10
_POLL_S = 0.1


class LocalStack:
    """Six servers that belong to one folder.

    Files below the folder record the running servers by process id and start time. So any process may stop what another
    one started.
    """

    def __init__(
        self,
        home: Path,
        *,
        cache: Path | None = None,
        lock: Path | None = None,
        relays: Mapping[str, int] | None = None,
    ) -> None:
        """Define a stack; nothing is started.

        Args:
            home: its folder; created by `up`.
            cache: the folder for downloads and unpacked programs; by default the user's own cache.
            lock: names the programs; by default the shipped lock.
            relays: ports of relays to "kafka", "postgres" or "registry". Servers started from now on connect through
                them, so that a test can intercept the traffic. The relay of Kafka must connect to its port
                "kafka-relayed".
        """
        self._home = StackPaths(home.resolve())
        self._lock = lock
        self._cache = cache or default_cache()
        self._relays = dict(relays or {})
        self._site: ServerContext | None = None

    @property
    def home(self) -> Path:
        """The folder of this stack: `data`, `log`, `run`, ports, secrets and endpoints."""
        return self._home.root

    def up(self, report: Report | None = None, servers: Iterable[str] = SERVERS) -> Endpoints:
        """Start every server that is not running, and return when all of them answer.

        Args:
            servers: the servers to start, and their dependencies; by default all.

        Raises:
            StackError: with the remedy, and with the end of the log if a server failed.
        """
        report = report or NullReport()
        with self._alone() as guard, room_on_disk(self._home.root):
            site = self._ground(report)
            boot = Startup(self._home, report, guard)
            run_in_dependency_order(
                {name: SERVERS[name].needs for name in servers},
                lambda name: boot.start(SERVERS[name](site)),
                boot.interrupted,
            )
            endpoints = self._describe(site)
            write_private_file(self._home.endpoints, endpoints.to_json())
        return endpoints

    def down(self, report: Report | None = None) -> None:
        """Stop every server that `up` started, dependencies last. Data stays."""
        report = report or NullReport()
        if not self._home.root.exists():
            return
        with self._alone():
            run_in_dependency_order(_NEEDED_BY, lambda name: self._bring_down(name, report), threading.Event())

    def endpoints(self) -> Endpoints | None:
        """Return the endpoints of the last `up`, or None before the first. Starts nothing."""
        return Endpoints.read(self._home.endpoints)

    def start(self, server: str) -> None:
        """Start one server and return when it answers. A running server is left as it is."""
        with self._alone() as guard, room_on_disk(self._home.root):
            Startup(self._home, NullReport(), guard).start(SERVERS[server](self._ground(NullReport())))

    def stop(self, server: str) -> None:
        """Stop one server as `down` does."""
        with self._alone():
            self._bring_down(server, NullReport())

    def kill(self, server: str) -> None:
        """Kill one server with SIGKILL, as a crash would."""
        if running := running_process(self._home.record(server)):
            running.kill()

    def pid(self, server: str) -> int | None:
        """Return the process id of a server, or None if it is not running."""
        running = running_process(self._home.record(server))
        return running.pid if running else None

    def _ground(self, report: Report) -> ServerContext:
        """Prepare the context of the servers: folders, user, programs, Java, ports and secrets."""
        if self._site is None:
            self._home.prepare()
            account = server_user(self._home.data)
            if not account.is_ours:
                link_folders(self._home.root, account, is_running=any(map(self.pid, SERVERS)))
            account.folder(self._home.data)
            programs = install(self._cache, report, self._lock).reached_by(account.can_read)
            downloads = None if account.is_ours else self._cache / "jdk"
            java = find_java(report, downloads=downloads, can_read=account.can_read)
            for needed in (programs.root, programs.postgres, programs.redis_server, java):
                account.require_readable(needed)
            ports, secrets = self._home.ports(), self._home.secrets()
            self._site = ServerContext(self._home, account, programs, java, ports, secrets, self._relays)
        return self._site

    def _bring_down(self, name: str, report: Report) -> None:
        began = time.monotonic()
        if running := running_process(self._home.record(name)):
            running.stop(SERVERS[name].stop_signal, SERVERS[name].stop_patience_s)
            report.stopped(name, time.monotonic() - began)
        self._home.record(name).unlink(missing_ok=True)

    def _describe(self, site: ServerContext) -> Endpoints:
        postgres = Postgres(site)
        return Endpoints(
            postgres=postgres.url,
            postgres_admin=postgres.admin_url,
            kafka=Kafka(site).address,
            connect=Connect(site).url,
            schema_registry=Registry(site).url,
            elasticsearch=Elasticsearch(site).url,
            redis=Redis(site).url,
            duckdb=f"quack:{LOOPBACK}:{site.ports['duckdb']}",
            duckdb_token=site.secrets.duckdb_token,
            duckdb_copy=str(self._home.duckdb_copy),
            replication_password=site.secrets.replication_password,
        )

    @contextmanager
    def _alone(self) -> Iterator[int]:
        """Lock the folder, so that no other process starts or stops its servers, and yield the lock's descriptor."""
        self._home.prepare()
        deadline = time.monotonic() + _OTHERS_FINISH_WITHIN_S
        with open(self._home.lock, "w", opener=_for_owner) as lock:
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError as error:
                    if time.monotonic() > deadline:
                        message = f"Somebody else is starting or stopping the stack in {self._home.root}."
                        raise StackBusy(message) from error
                    time.sleep(_POLL_S)
            yield lock.fileno()


def _for_owner(path: str, flags: int) -> int:
    return os.open(path, flags, mode=0o600)
