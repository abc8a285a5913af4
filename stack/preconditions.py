"""Preconditions of a server's start: free ports, and room on the disk."""

from __future__ import annotations

import errno
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from stack.errors import DiskFull, PortTaken
from stack.paths import is_free

_PORT_FREE_WITHIN_S = 5
_POLL_S = 0.1
_ROOM_NEEDED_BYTES = 512 * 2**20


def require_free(port: int, server: str, ports_file: Path) -> None:
    """Wait briefly for a port that another process is releasing.

    Args:
        port: the loopback port.
        server: the server that will listen there.
        ports_file: the file with the ports of the stack.

    Raises:
        PortTaken: another process keeps the port.
    """
    deadline = time.monotonic() + _PORT_FREE_WITHIN_S
    while not is_free(port):
        if time.monotonic() > deadline:
            raise PortTaken(
                f"Port {port}, which {server} has in this stack, is in use by {_listener(port)}.",
                remedy="End that process, then run `readmodels up` again. Or run `readmodels down`, delete "
                f"{ports_file} and run `readmodels up`: it chooses other ports.",
            )
        time.sleep(_POLL_S)


def _listener(port: int) -> str:
    try:
        for connection in psutil.net_connections("tcp"):
            if connection.laddr and connection.laddr.port == port and connection.pid:
                return f"process {connection.pid} ({psutil.Process(connection.pid).name()})"
    except (psutil.AccessDenied, psutil.NoSuchProcess):
        return "a process that this user may not see"
    return "a process of another user"


@contextmanager
def room_on_disk(folder: Path) -> Iterator[None]:
    """Refuse to begin on a full disk, and report a disk that fills up within the block.

    Raises:
        DiskFull: the disk has too little room.
    """
    free_bytes = shutil.disk_usage(folder).free
    if free_bytes < _ROOM_NEEDED_BYTES:
        raise DiskFull(
            f"{folder} has {free_bytes / 2**20:.0f} MiB of disk left; "
            f"the servers need {_ROOM_NEEDED_BYTES / 2**20:.0f} MiB to start."
        )
    try:
        yield
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise DiskFull(f"The disk of {error.filename or folder} is full.") from error
