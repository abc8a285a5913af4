"""Local Kafka Connect, with Debezium and the Avro converter as plugins."""

from __future__ import annotations

from typing import ClassVar

from stack.http import answers
from stack.paths import LOOPBACK
from stack.postgres import DATABASE
from stack.process import Command
from stack.server import Server

REPLICATION_USER = "debezium"
_HEAP_MB = 320

_SETTINGS = """\
bootstrap.servers={host}:{kafka_port}
listeners=http://{host}:{port}
group.id=readmodels-connect
session.timeout.ms=6000
heartbeat.interval.ms=2000
scheduled.rebalance.max.delay.ms=0
plugin.path={plugins}
plugin.discovery=service_load
key.converter=org.apache.kafka.connect.json.JsonConverter
value.converter=org.apache.kafka.connect.json.JsonConverter
config.storage.topic=readmodels-connect-configs
config.storage.replication.factor=1
offset.storage.topic=readmodels-connect-offsets
offset.storage.replication.factor=1
offset.storage.partitions=5
status.storage.topic=readmodels-connect-status
status.storage.replication.factor=1
status.storage.partitions=1
exactly.once.source.support=enabled
connector.client.config.override.policy=All
config.providers=env
config.providers.env.class=org.apache.kafka.common.config.provider.EnvVarConfigProvider
config.providers.env.param.allowlist.pattern=READMODELS_CONNECTOR_.*
"""


class Connect(Server):
    """Kafka Connect in distributed mode. The connector's credentials are in its environment."""

    name: ClassVar[str] = "connect"
    needs: ClassVar[tuple[str, ...]] = ("kafka",)
    port_names: ClassVar[tuple[str, ...]] = ("connect",)

    @property
    def url(self) -> str:
        """The URL of the REST API."""
        return f"http://{self.address}"

    def prepare(self) -> None:
        settings = _SETTINGS.format(
            host=LOOPBACK,
            port=self.port,
            kafka_port=self._site.port_of("kafka"),
            plugins=self._site.programs.connect_plugins,
        )
        self._site.account.write(self.data / "worker.properties", settings)

    def command(self) -> Command:
        java = self.java(
            "-Dorg.slf4j.simpleLogger.showDateTime=true",
            "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSS",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-Dorg.slf4j.simpleLogger.log.io.debezium=info",
            "-cp",
            self._site.programs.kafka_classpath,
            "org.apache.kafka.connect.cli.ConnectDistributed",
            heap_mb=_HEAP_MB,
        )
        return Command(
            arguments=(*java, str(self.data / "worker.properties")),
            environment=self._credentials(),
            folder=self.data,
        )

    def is_ready(self) -> bool:
        return answers(f"{self.url}/connectors")

    def _credentials(self) -> dict[str, str]:
        settings = {
            "DATABASE_HOSTNAME": LOOPBACK,
            "DATABASE_PORT": str(self._site.port_of("postgres")),
            "DATABASE_NAME": DATABASE,
            "DATABASE_USER": REPLICATION_USER,
            "DATABASE_PASSWORD": self._site.secrets.replication_password,
            "REGISTRY_URL": f"http://{LOOPBACK}:{self._site.port_of('registry')}/apis/registry/v2",
        }
        return {f"READMODELS_CONNECTOR_{name}": value for name, value in settings.items()}
