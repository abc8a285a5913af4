"""Local schema registry: Apicurio, which stores its schemas in the local PostgreSQL."""

from __future__ import annotations

from typing import ClassVar

from stack.http import answers
from stack.paths import LOOPBACK
from stack.postgres import REGISTRY
from stack.process import Command
from stack.server import Server

_HEAP_MB = 192


class Registry(Server):
    """Apicurio Registry with SQL storage."""

    name: ClassVar[str] = "registry"
    needs: ClassVar[tuple[str, ...]] = ("postgres",)
    port_names: ClassVar[tuple[str, ...]] = ("registry", "registry-management")

    @property
    def url(self) -> str:
        """The URL of the Confluent-compatible API."""
        return f"http://{self.address}/apis/ccompat/v7"

    def prepare(self) -> None:
        self._site.account.folder(self.data)

    def command(self) -> Command:
        database = f"jdbc:postgresql://{LOOPBACK}:{self._site.ports['postgres']}/{REGISTRY}"
        port, management_port = self.ports
        return Command(
            arguments=(*self.java("-jar", str(self._site.programs.registry / "quarkus-run.jar"), heap_mb=_HEAP_MB),),
            environment={
                "QUARKUS_HTTP_HOST": LOOPBACK,
                "QUARKUS_HTTP_PORT": str(port),
                "QUARKUS_MANAGEMENT_HOST": LOOPBACK,
                "QUARKUS_MANAGEMENT_PORT": str(management_port),
                "QUARKUS_HTTP_ACCESS_LOG_ENABLED": "false",
                "APICURIO_STORAGE_KIND": "sql",
                "APICURIO_STORAGE_SQL_KIND": "postgresql",
                "APICURIO_DATASOURCE_URL": database,
                "APICURIO_DATASOURCE_USERNAME": REGISTRY,
                "APICURIO_DATASOURCE_PASSWORD": self._site.secrets.registry_password,
            },
            folder=self.data,
        )

    def is_ready(self) -> bool:
        return answers(f"{self.url}/subjects")
