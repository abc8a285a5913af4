"""Folders of the servers' data if root starts the stack.

Root's home folder is closed to every other user, and the servers run as another user. So their data is in a separate
folder, and the stack's own folder has links to it. The separate folder is beside the stack's folder or, if the servers'
user cannot reach it there, in the system's folder for such data.
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from stack.errors import StackError
from stack.server_user import ServerUser

SYSTEM_FOLDER = Path("/var/lib/readmodels")
"""Source: https://refspecs.linuxfoundation.org/FHS_3.0/fhs/ch05s08.html"""

FOLDERS = ("data", "classes")


class ServersFromEarlier(StackError):
    """Servers are still running on data that must be moved."""


def link_folders(home: Path, account: ServerUser, is_running: bool) -> None:
    """Link `data` and `classes` of a home to folders that the servers' user owns and can reach.

    Data of an earlier version, which is in the home itself, is moved.

    Args:
        is_running: a server of this home is running.

    Raises:
        ServersFromEarlier: data would be moved under a running server.
    """
    own = servers_folder(home, account)
    for name in FOLDERS:
        link, target = home / name, own / name
        if not link.is_symlink() and link.exists():
            if is_running:
                raise ServersFromEarlier(f"The running servers use {link}, which has to be moved to {own}.")
            _create(own, account)
            shutil.move(link, target)
        if not link.is_symlink() or link.resolve() != target:
            link.unlink(missing_ok=True)
            link.symlink_to(target)
        _create(own, account)
        account.folder(target)


def servers_folder(home: Path, account: ServerUser) -> Path:
    """Return the folder in which the servers of a home store their data."""
    if account.can_read(home.parent):
        return home.with_name(f"{home.name}.servers")
    return SYSTEM_FOLDER / hashlib.sha256(str(home).encode()).hexdigest()[:16]


def _create(own: Path, account: ServerUser) -> None:
    if own.parent == SYSTEM_FOLDER:
        SYSTEM_FOLDER.mkdir(parents=True, exist_ok=True)
        SYSTEM_FOLDER.chmod(0o711)
    account.folder(own)
