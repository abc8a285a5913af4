"""Servers, their relays and two sets of workers, with the ways to break and heal each of them."""

from __future__ import annotations

import json
import os
import random
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

import psutil
from redis import Redis

from connectors.kafka_connect import ConnectClient, ConnectError
from pipeline.demo.tables import create_tables
from pipeline.postgres.database import connect
from stack.endpoints import Endpoints
from stack.errors import ServerSilent
from stack.local import LocalStack
from stack.paths import LOOPBACK, StackPaths, is_free, write_private_file
from stack.redis import ADMIN
from tests.acceptance.cli_runner import Command, Run
from tests.chaos.faults import RUNS, WAYS, Fault, Kind
from tests.support.relays import CLEAR, Relays

CONNECTOR = "postgres-orders-cdc"
SLOW_STARTS = 3
"""Number of times that a server may exceed the stack's start timeout, because the machine may be busy."""
RETRIES_AFTER_MS = "1000"
"""The connector's retry delay for transient errors: 10 s as shipped, less here for shorter cycles."""

Means = tuple[Callable[[], None], Callable[[], None]]
"""A function that breaks something, and one that heals it."""


class Rig:
    """All components that can be broken; made by `rigged`.

    Attributes:
        operator_restarts: number of restarts of a permanently failed connector.
    """

    def __init__(self, stack: LocalStack, endpoints: Endpoints, relays: Relays, environment: Mapping[str, str]) -> None:
        self.stack = stack
        self.endpoints = endpoints
        self.command = Command(stack.home, environment=environment)
        self.operator_restarts = 0
        self._relays = relays
        self._logs = stack.home.with_name(f"{stack.home.name}-logs")
        self._logs.mkdir(exist_ok=True)
        self._numbers = count(1 + len(list(self._logs.glob("run-*.log"))))
        self._runs: dict[str, Run] = {}

    @property
    def logs(self) -> list[Path]:
        """The log files of the two runs and of their predecessors."""
        return sorted(self._logs.glob("run-*.log"))

    def keep_running(self) -> None:
        """Start each run that is not running."""
        for name in RUNS:
            if name not in self._runs or not self._runs[name].is_running:
                log = self._logs / f"run-{next(self._numbers):04}-{name}.log"
                self._runs[name] = self.command.start(log, "run")

    def end(self) -> None:
        """End both runs."""
        for run in self._runs.values():
            if run.is_running:
                run.end()

    def hung_calls(self) -> int:
        """Return the number of store calls that the watchdog has ended so far, together with their workers."""
        return sum(log.read_text().count('event="store call timed out"') for log in self.logs)

    def stopped_workers(self) -> list[str]:
        """Return the log lines of permanently stopped workers: all faults are transient, so there should be none."""
        return [f"{name}: {line}" for name, run in self._runs.items() for line in run.lines('event="worker failed"')]

    def inflict(self, faults: Sequence[Fault]) -> None:
        """Inflict every fault at its time, and return when all are healed and every server answers."""
        failures: list[BaseException] = []

        def happen(fault: Fault) -> None:
            try:
                self._inflict(fault)
            except BaseException as error:  # noqa: BLE001 - raised below, on the thread of who asked
                failures.append(error)

        threads = [threading.Thread(target=happen, args=(fault,), name=str(fault)) for fault in faults]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]
        self.bring_back()

    def bring_back(self) -> None:
        """Start the servers and runs that are not running."""
        _bring_up(self.stack)
        self.keep_acknowledged_writes()
        self.keep_running()

    def keep_acknowledged_writes(self) -> None:
        """Configure Redis to keep every acknowledged write, as Elasticsearch does with its translog."""
        with Redis.from_url(self.endpoints.redis, username=ADMIN) as client:
            client.config_set("appendfsync", "always")

    def restart_failed_connector(self) -> None:
        """Restart a permanently failed connector task, as an operator does."""
        client = ConnectClient(self.endpoints.connect)
        with suppress(ConnectError):
            if client.status(CONNECTOR).has_failed:
                client.restart_failed(CONNECTOR)
                self.operator_restarts += 1
        client.close()

    def _inflict(self, fault: Fault) -> None:
        _pass_s(fault.begins_s)
        begin, heal = self._means(fault)
        begin()
        _pass_s(fault.lasts_s)
        heal()

    def _means(self, fault: Fault) -> Means:
        kind, _, target = fault.target.partition(" ")
        match kind:
            case "way":
                server = target.removeprefix("to ")
                assert fault.disturbance is not None
                disturbance = fault.disturbance
                return (
                    lambda: self._relays.disturb(server, disturbance),
                    lambda: self._relays.disturb(server, CLEAR),
                )
            case "connector":
                return self._restart_connector, lambda: None
            case "worker":
                model, name = target.split()
                return _signals(fault.kind, self._runs[name].workers().get(model))
            case "run":
                run = self._runs[target]
                return _signals(fault.kind, psutil.Process(run.process.pid) if run.is_running else None)
        if fault.kind is Kind.KILL:
            return lambda: self.stack.kill(fault.target), lambda: None
        pid = self.stack.pid(fault.target)
        return _signals(fault.kind, psutil.Process(pid) if pid else None, is_family=True)

    def _restart_connector(self) -> None:
        client = ConnectClient(self.endpoints.connect)
        # Connect itself may be down at the moment.
        with suppress(ConnectError):
            client.restart(CONNECTOR)
        client.close()


def _signals(kind: Kind, process: psutil.Process | None, *, is_family: bool = False) -> Means:
    if process is None:
        # The target cannot be hit; for example, a worker is waiting to be restarted.
        return lambda: None, lambda: None

    def send(number: signal.Signals) -> None:
        with suppress(psutil.NoSuchProcess):
            for one in [process, *(process.children(recursive=True) if is_family else [])]:
                with suppress(ProcessLookupError):
                    os.kill(one.pid, number)

    if kind is Kind.KILL:
        return lambda: send(signal.SIGKILL), lambda: None
    return lambda: send(signal.SIGSTOP), lambda: send(signal.SIGCONT)


def _pass_s(seconds: float) -> None:
    """Let time pass: the moment of a fault is the test input, so there is no condition to wait for."""
    threading.Event().wait(seconds)


@contextmanager
def rigged(home: Path) -> Iterator[Rig]:
    """Start the stack of a folder behind relays, set it up, and start two sets of workers; stop them at the end.

    An existing setup in the folder continues from its state.
    """
    ports = _relay_ports(home)
    stack = LocalStack(home, relays={name: ports[name] for name in ("kafka", "postgres", "registry")})
    listening = StackPaths(home.resolve()).ports()
    behind = {name: listening["kafka-relayed" if name == "kafka" else name] for name in WAYS}
    with Relays(ports, behind) as relays:
        if is_free(behind["kafka"]):
            _stop_unrelayed(stack)
        endpoints = _bring_up(stack)
        rig = Rig(stack, endpoints, relays, _environment(endpoints, ports))
        rig.keep_acknowledged_writes()
        with connect(endpoints.postgres) as source:
            create_tables(source)
        done = rig.command("init")
        assert done.returncode == 0, done.stdout + done.stderr
        rig.keep_running()
        try:
            yield rig
        finally:
            rig.end()


def _bring_up(stack: LocalStack) -> Endpoints:
    for _ in range(SLOW_STARTS):
        with suppress(ServerSilent):
            return stack.up()
    return stack.up()


def _stop_unrelayed(stack: LocalStack) -> None:
    """Stop the servers that will be reached through relays, because they read their addresses when they start."""
    for server in ("connect", "kafka"):
        stack.stop(server)


def _environment(endpoints: Endpoints, ports: Mapping[str, int]) -> dict[str, str]:
    """Return settings that route workers through the relays and shorten the group's and the watchdog's timeouts."""
    return {
        "READMODELS_KAFKA__BOOTSTRAP_SERVERS": f"{LOOPBACK}:{ports['kafka']}",
        "READMODELS_SCHEMA_REGISTRY__URL": f"http://{LOOPBACK}:{ports['registry']}/apis/ccompat/v7",
        "READMODELS_ELASTICSEARCH__URL": f"http://{LOOPBACK}:{ports['elasticsearch']}",
        "READMODELS_REDIS__URL": endpoints.redis.replace(f":{urlsplit(endpoints.redis).port}/", f":{ports['redis']}/"),
        "READMODELS_BATCHES__SESSION_TIMEOUT_S": "3",
        "READMODELS_WATCHDOG__REDIS_S": "4",
        "READMODELS_WATCHDOG__ELASTICSEARCH_S": "30",
        "READMODELS_ENVELOPES": json.dumps({"connector": {"retriable.restart.connector.wait.ms": RETRIES_AFTER_MS}}),
    }


def _relay_ports(home: Path) -> dict[str, int]:
    """Return the ports of the relays, chosen once and then kept because servers and clients have them configured."""
    kept = home / "relays.json"
    if not kept.exists():
        home.mkdir(parents=True, exist_ok=True)
        free = [port for port in random.SystemRandom().sample(range(15_000, 30_000), 100) if is_free(port)]
        write_private_file(kept, json.dumps(dict(zip(WAYS, free, strict=False))))
    return {name: int(port) for name, port in json.loads(kept.read_text()).items()}
