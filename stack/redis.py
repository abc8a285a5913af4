"""Local Redis, or Valkey, which has the same protocol."""

from __future__ import annotations

import hashlib
from typing import ClassVar
from urllib.parse import quote

from redis import Redis as Client
from redis.exceptions import RedisError

from stack.paths import LOOPBACK
from stack.process import Command
from stack.server import Server

ADMIN = "admin"
"""Name of the user who may also change settings of the server. The password is the same."""

_COMMANDS = "+@all -@admin -migrate +config|get"
"""All commands except those that reconfigure the server, load code into it, or copy it elsewhere.

Source: https://redis.io/docs/latest/operate/oss_and_stack/management/security/acl/
"""


class Redis(Server):
    """Redis with a password and an append-only file. It never evicts a key."""

    name: ClassVar[str] = "redis"
    port_names: ClassVar[tuple[str, ...]] = ("redis",)

    @property
    def url(self) -> str:
        """The URL of logical database 0, with the password."""
        return f"redis://:{quote(self._site.secrets.redis_password, safe='')}@{self.address}/0"

    def prepare(self) -> None:
        settings = {
            "bind": LOOPBACK,
            "port": self.port,
            "dir": f'"{self.data}"',
            "appendonly": "yes",
            "appendfsync": "everysec",
            "maxmemory-policy": "noeviction",
        }
        # The file contains only the hash, so that neither the file nor `ACL LIST` reveals the password.
        password = f"#{hashlib.sha256(self._site.secrets.redis_password.encode()).hexdigest()}"
        users = [f"user default on {password} ~* &* {_COMMANDS}", f"user {ADMIN} on {password} ~* &* +@all -module"]
        lines = "".join(f"{line}\n" for line in [*(f"{name} {value}" for name, value in settings.items()), *users])
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
            with Client.from_url(self.url, socket_timeout=2) as client:
                return bool(client.ping())
        except RedisError:
            return False
