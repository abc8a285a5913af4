"""Local Elasticsearch: one node, without its optional modules."""

from __future__ import annotations

from typing import ClassVar

from stack.http import answers
from stack.paths import LOOPBACK
from stack.process import Command
from stack.server import Server

_HEAP_MB = 512

_SETTINGS = """\
cluster.name: readmodels
node.name: local
network.host: {host}
http.port: {port}
transport.port: {transport_port}
discovery.type: single-node
path.data: "{data}/data"
path.logs: "{data}/logs"
xpack.security.enabled: false
cluster.routing.allocation.disk.threshold_enabled: false
indices.breaker.total.use_real_memory: false
"""
"""Setting of the circuit breakers: they count requests only, not garbage that the collector has not freed yet."""

_LOGGING = """\
status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%d{ISO8601}][%-5p][%-25c{1.}] %m%n
rootLogger.level = info
rootLogger.appenderRef.console.ref = console
"""

_NOT_WANTED = ("-XX:+UseG1GC", "-Xlog:gc", "-XX:ErrorFile", "-XX:+HeapDumpOnOutOfMemoryError")
"""Flags of the distribution that choose another collector, or that write to the shared folder of the distribution."""


class Elasticsearch(Server):
    """Elasticsearch without security, for loopback only."""

    name: ClassVar[str] = "elasticsearch"
    port_names: ClassVar[tuple[str, ...]] = ("elasticsearch", "elasticsearch-transport")

    @property
    def url(self) -> str:
        """The URL of the node."""
        return f"http://{self.address}"

    def prepare(self) -> None:
        port, transport_port = self.ports
        account = self._site.account
        config = account.folder(self.data / "config")
        account.folder(self.data / "tmp")
        settings = _SETTINGS.format(host=LOOPBACK, port=port, transport_port=transport_port, data=self.data)
        account.write(config / "elasticsearch.yml", settings)
        account.write(config / "log4j2.properties", _LOGGING)
        shipped = (self._site.programs.elasticsearch / "config/jvm.options").read_text().splitlines()
        wanted = [line for line in shipped if not line.startswith(_NOT_WANTED)]
        account.write(config / "jvm.options", "\n".join(wanted) + "\n")

    def command(self) -> Command:
        home = self._site.programs.elasticsearch
        flags = (
            f"-Xms{_HEAP_MB}m",
            f"-Xmx{_HEAP_MB}m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-XX:-AlwaysPreTouch",
            "-XX:-UsePerfData",
        )
        return Command(
            arguments=(*self._site.account.prefix, str(home / "bin/elasticsearch")),
            environment={
                "ES_JAVA_HOME": str(self._site.java),
                "ES_PATH_CONF": str(self.data / "config"),
                "ES_TMPDIR": str(self.data / "tmp"),
                "ES_JAVA_OPTS": " ".join(flags),
                "CLI_JAVA_OPTS": "-XX:TieredStopAtLevel=1 -XX:-UsePerfData",
            },
            folder=home,
        )

    def post_start(self) -> None:
        # Elasticsearch creates the file with access for its group.
        (self.data / "config/elasticsearch.keystore").chmod(0o600)

    def is_ready(self) -> bool:
        return answers(f"{self.url}/_cluster/health?wait_for_status=yellow&timeout=2s")
