"""The servers, the relays before them, and two sets of workers; and how each of them is broken and healed."""

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
from stack.endpoints import Endpoints
from stack.errors import ServerSilent
from stack.local import LocalStack
from stack.paths import LOOPBACK, StackPaths, is_free
from stack.redis import ADMIN
from tests.acceptance.cli_runner import Command, Run
from tests.chaos.faults import RUNS, WAYS, Fault, Kind
from tests.support.relays import CLEAR, Relays

CONNECTOR = "postgres-orders-cdc"
SLOW_STARTS = 3
"""How often a server may take longer to start than the stack waits for it: the machine may have much else to do."""
RETRIES_AFTER_MS = "1000"
"""How long the connector waits before it tries again what may pass; as shipped 10 s, here less, for shorter cycles."""

Means = tuple[Callable[[], None], Callable[[], None]]
"""How to break something, and how to heal it."""


class Rig:
    """Everything that is broken; made by `rigged`.

    Attributes:
        operator_restarts: how often the connector had failed for good, and was restarted.
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
        """What the two runs say, and their predecessors said."""
        return sorted(self._logs.glob("run-*.log"))

    def keep_running(self) -> None:
        """Start each run that does not run."""
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
        """How many calls of a store the watchdog has ended so far, and their workers with them."""
        return sum(log.read_text().count('event="store hangs"') for log in self.logs)

    def stopped_workers(self) -> list[str]:
        """What workers said that stopped for good: whatever befell them passes, so none of them should."""
        return [f"{name}: {line}" for name, run in self._runs.items() for line in run.lines("event=stopped")]

    def inflict(self, faults: Sequence[Fault]) -> None:
        """Let every fault happen at its time, and return when all are healed and every server answers."""
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
        """Start what does not run: servers, and runs."""
        _bring_up(self.stack)
        self.keep_acknowledged_writes()
        self.keep_running()

    def keep_acknowledged_writes(self) -> None:
        """Let Redis come back with everything that it ever acknowledged, as Elasticsearch does with its translog."""
        with Redis.from_url(self.endpoints.redis, username=ADMIN) as client:
            client.config_set("appendfsync", "always")

    def restart_failed_connector(self) -> None:
        """Do what an operator does with a task that has failed for good."""
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
        # Connect may be down itself just now.
        with suppress(ConnectError):
            client.restart(CONNECTOR)
        client.close()


def _signals(kind: Kind, process: psutil.Process | None, *, is_family: bool = False) -> Means:
    if process is None:
        # A worker that waits to be started again, say, cannot be hit.
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
    """Let time pass: when something breaks is what is tried out, and nothing is waited for."""
    threading.Event().wait(seconds)


@contextmanager
def rigged(home: Path) -> Iterator[Rig]:
    """Start the stack of a folder behind relays, set it up, and start two sets of workers; stop them at the end.

    What was set up there before goes on where it was.
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
    """Stop the servers whose way leads through relays from now on: they read where it leads when they start."""
    for server in ("connect", "kafka"):
        stack.stop(server)


def _environment(endpoints: Endpoints, ports: Mapping[str, int]) -> dict[str, str]:
    """The settings of workers that reach their servers through the relays, and that group and watchdog give up soon."""
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
    """The ports of the relays, chosen once and then kept: servers and clients know them."""
    kept = home / "relays.json"
    if not kept.exists():
        home.mkdir(parents=True, exist_ok=True)
        free = [port for port in random.SystemRandom().sample(range(15_000, 30_000), 100) if is_free(port)]
        kept.write_text(json.dumps(dict(zip(WAYS, free, strict=False))))
    return {name: int(port) for name, port in json.loads(kept.read_text()).items()}
