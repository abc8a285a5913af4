"""Base class of the stack's servers, and their context."""

from __future__ import annotations

import signal
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from stack.paths import LOOPBACK, Secrets, StackPaths
from stack.process import Command
from stack.programs import Programs
from stack.server_user import ServerUser


@dataclass(frozen=True)
class ServerContext:
    """Context that a server needs to run.

    Attributes:
        ports: a loopback port for every name of `stack.paths.PORT_NAMES`.
        java: the home of the JDK.
        relays: the ports of relays, by the name of the server that each leads to.
    """

    home: StackPaths
    account: ServerUser
    programs: Programs
    java: Path
    ports: Mapping[str, int]
    secrets: Secrets
    relays: Mapping[str, int] = field(default_factory=dict)

    def port_of(self, server: str) -> int:
        """Return the port at which one server reaches another: the relay's, if there is one."""
        return self.relays.get(server, self.ports[server])


class Server(ABC):
    """One server: its preparation, its command, its readiness check and its stop."""

    name: ClassVar[str]
    needs: ClassVar[tuple[str, ...]] = ()
    """Servers that must answer before this one starts."""
    port_names: ClassVar[tuple[str, ...]]
    """Names of the ports that it listens on. Clients use the first."""
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    stop_patience_s: ClassVar[float] = 60

    def __init__(self, site: ServerContext) -> None:
        self._site = site

    @property
    def ports(self) -> tuple[int, ...]:
        """The loopback ports that it listens on."""
        return tuple(self._site.ports[name] for name in self.port_names)

    @property
    def port(self) -> int:
        """The port that clients use."""
        return self.ports[0]

    @property
    def address(self) -> str:
        """Host and port, such as "127.0.0.1:9092"."""
        return f"{LOOPBACK}:{self.port}"

    @property
    def data(self) -> Path:
        """The folder that belongs to this server."""
        return self._site.account.folder(self._site.home.data / self.name)

    def java(self, *flags: str, heap_mb: int) -> tuple[str, ...]:
        """Return a Java command, up to the main class, for a server that starts fast and stays small.

        At its first stop the JVM archives the loaded classes; from then on it starts in half the time.
        """
        archive = self._site.account.folder(self._site.home.classes) / f"{self.name}.jsa"
        return (
            *self._site.account.prefix,
            str(self._site.java / "bin/java"),
            f"-Xmx{heap_mb}m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-XX:+AutoCreateSharedArchive",
            f"-XX:SharedArchiveFile={archive}",
            "-Xlog:disable",
            "-Xlog:all=error:stderr",
            "-XX:-UsePerfData",
            "-XX:+ExitOnOutOfMemoryError",
            *flags,
        )

    @abstractmethod
    def prepare(self) -> None:
        """Write the configuration, and create the store if it is missing."""

    @abstractmethod
    def command(self) -> Command:
        """Return the command that runs the server."""

    @abstractmethod
    def is_ready(self) -> bool:
        """Return whether the server answers its clients now."""

    def post_start(self) -> None:  # noqa: B027 — nothing to do for most servers
        """Complete the setup of a server after it answers."""
