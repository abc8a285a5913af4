"""The local Redis."""

from __future__ import annotations

from typing import ClassVar

from redis import Redis as Client
from redis.exceptions import RedisError

from stack.home import LOOPBACK
from stack.process import Command
from stack.server import Server


class Redis(Server):
    """Redis with an append-only file, which never evicts."""

    name: ClassVar[str] = "redis"
    port_names: ClassVar[tuple[str, ...]] = ("redis",)

    @property
    def url(self) -> str:
        """Logical database 0."""
        return f"redis://{self.address}/0"

    def prepare(self) -> None:
        settings = {
            "bind": LOOPBACK,
            "port": self.port,
            "dir": f'"{self.data}"',
            "appendonly": "yes",
            "appendfsync": "everysec",
            "maxmemory-policy": "noeviction",
        }
        lines = "".join(f"{name} {value}\n" for name, value in settings.items())
        self._site.account.write(self.data / "redis.conf", lines)

    def command(self) -> Command:
        program = str(self._site.programs.redis_server)
        return Command(
            arguments=(*self._site.account.prefix, program, str(self.data / "redis.conf")),
            environment={},
            folder=self.data,
        )

    def is_ready(self) -> bool:
        try:
            with Client(host=LOOPBACK, port=self.port, socket_timeout=2) as client:
                return bool(client.ping())
        except RedisError:
            return False
