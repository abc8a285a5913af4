"""Local Kafka: one broker that is its own controller."""

from __future__ import annotations

import subprocess
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from typing import ClassVar
from uuid import uuid4

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from stack.errors import startup_error
from stack.paths import LOOPBACK
from stack.process import Command
from stack.server import Server

_HEAP_MB = 512

_SETTINGS = """\
process.roles=broker,controller
node.id=1
listeners={listeners}
advertised.listeners={advertised}
listener.security.protocol.map=BROKER:PLAINTEXT,RELAYED:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=BROKER
controller.listener.names=CONTROLLER
controller.quorum.bootstrap.servers={host}:{controller_port}
log.dirs={logs}
log.retention.ms=-1
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=8
offsets.retention.minutes=525600
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=8
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
"""


class Kafka(Server):
    """Kafka in KRaft mode, which keeps every record for ever."""

    name: ClassVar[str] = "kafka"
    port_names: ClassVar[tuple[str, ...]] = ("kafka", "kafka-controller", "kafka-relayed")

    def prepare(self) -> None:
        port, controller_port, relayed_port = self.ports
        listens, advertised = {"BROKER": port, "CONTROLLER": controller_port}, {"BROKER": port}
        if self.name in self._site.relays:
            # A client connects to the address that the broker advertises, so a client of the relay must get the relay's
            # address.
            listens["RELAYED"], advertised["RELAYED"] = relayed_port, self._site.port_of(self.name)
        logs = self.data / "logs"
        settings = _SETTINGS.format(
            host=LOOPBACK,
            listeners=_addresses(listens),
            advertised=_addresses(advertised),
            controller_port=controller_port,
            logs=logs,
        )
        self._site.account.write(self.data / "server.properties", settings)
        if not (logs / "meta.properties").exists():
            self._format()

    def command(self) -> Command:
        return Command(
            arguments=(*self._java("kafka.Kafka"), str(self.data / "server.properties")),
            environment={},
            folder=self.data,
        )

    def is_ready(self) -> bool:
        client = AdminClient({"bootstrap.servers": self.address, "log_level": 0, "socket.timeout.ms": 2000})
        try:
            return bool(client.list_topics(timeout=2).brokers)
        except KafkaException:
            return False

    def _format(self) -> None:
        cluster_id = urlsafe_b64encode(uuid4().bytes).decode().rstrip("=").replace("-", "_")
        settings = str(self.data / "server.properties")
        # The class archive belongs to the broker; the tool would overwrite it with its own few classes.
        tool = self._java("kafka.tools.StorageTool", "-XX:-AutoCreateSharedArchive")
        made = subprocess.run(
            [*tool, "format", "-t", cluster_id, "-c", settings, "--standalone"],
            capture_output=True,
            text=True,
            cwd=self.data,
            umask=0o077,
            check=False,
        )
        if made.returncode != 0:
            raise startup_error(self.name, (made.stdout + made.stderr).strip())

    def _java(self, main: str, *flags: str) -> tuple[str, ...]:
        return self.java(
            *flags,
            "-Dorg.slf4j.simpleLogger.showDateTime=true",
            "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSS",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-cp",
            self._site.programs.kafka_classpath,
            main,
            heap_mb=_HEAP_MB,
        )


def _addresses(ports: Mapping[str, int]) -> str:
    return ",".join(f"{listener}://{LOOPBACK}:{port}" for listener, port in ports.items())
