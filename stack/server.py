"""What every server of the stack has in common."""

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
    """All that a server needs to know of where it runs.

    Attributes:
        ports: a loopback port for every name of `stack.paths.PORT_NAMES`.
        java: the home of the JDK.
        relays: the port under which another server is reached, where something stands between.
    """

    home: StackPaths
    account: ServerUser
    programs: Programs
    java: Path
    ports: Mapping[str, int]
    secrets: Secrets
    relays: Mapping[str, int] = field(default_factory=dict)

    def port_of(self, server: str) -> int:
        """The port at which one server reaches another: that of a relay, where there is one."""
        return self.relays.get(server, self.ports[server])


class Server(ABC):
    """One server: how it is prepared, run, asked whether it is ready, and stopped."""

    name: ClassVar[str]
    needs: ClassVar[tuple[str, ...]] = ()
    """The servers that must answer before this one starts."""
    port_names: ClassVar[tuple[str, ...]]
    """The ports that it listens on; the first is the one that clients use."""
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
        """Host and port, as in "127.0.0.1:9092"."""
        return f"{LOOPBACK}:{self.port}"

    @property
    def data(self) -> Path:
        """The folder that is this server's own."""
        return self._site.account.folder(self._site.home.data / self.name)

    def java(self, *flags: str, heap_mb: int) -> tuple[str, ...]:
        """Return a Java command for a server that starts fast and stays small, up to its main class.

        At its first stop the JVM archives the classes that it loaded; from then on it starts in half the time.
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
        """Write configuration, and create the store where there is none."""

    @abstractmethod
    def command(self) -> Command:
        """Return what to run."""

    @abstractmethod
    def is_ready(self) -> bool:
        """Say whether the server answers its clients now."""

    def post_start(self) -> None:  # noqa: B027 — nothing to do for most servers
        """Bring a server that answers into the state that the stack promises."""
