"""User that the servers run as.

PostgreSQL and Elasticsearch refuse to run as root. So root's stack runs as a user without rights and without any of
root's capabilities.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from stack.errors import ProgramMissing, Unreachable
from stack.paths import write_private_file

_ROOT = 0


@dataclass(frozen=True)
class ServerUser:
    """User and group of the servers.

    Attributes:
        uid: the user id that owns the data.
        gid: its group id.
        prefix: the arguments before a command that run it as this user; empty if the caller is that user.
    """

    uid: int
    gid: int
    prefix: tuple[str, ...] = ()

    @property
    def is_ours(self) -> bool:
        """True if the servers run as the user who starts them."""
        return not self.prefix

    def own(self, path: Path) -> Path:
        """Change the owner of a file or folder to this user."""
        if self.prefix:
            os.chown(path, self.uid, self.gid)
        return path

    def folder(self, path: Path) -> Path:
        """Return the folder `path`, which only this user may open. It is created if it is missing."""
        if not path.exists():
            path.mkdir(parents=True, mode=0o700)
            self.own(path)
        return path

    def write(self, path: Path, text: str) -> Path:
        """Write a file that only this user can read."""
        write_private_file(path, text)
        return self.own(path)

    def can_read(self, path: Path) -> bool:
        """Return whether this user may read a file, or enter a folder."""
        test = "-r" if path.is_file() else "-x"
        return self.is_ours or subprocess.run([*self.prefix, "test", test, path], check=False).returncode == 0

    def require_readable(self, path: Path) -> None:
        """Check that the servers can read a program.

        Raises:
            Unreachable: this user cannot read it.
        """
        if not self.can_read(path):
            raise Unreachable(f"The servers run as user {self.uid}, who may not read {path}.")


def server_user(data: Path) -> ServerUser:
    """Return the user that runs the servers whose data is in `data`.

    This is the caller. For root it is the owner of the data, or the system's `nobody` if there is no data yet.

    Raises:
        ProgramMissing: the caller is root, and `setpriv` is not installed.
    """
    if os.geteuid() != _ROOT:
        return ServerUser(os.geteuid(), os.getegid())
    if shutil.which("setpriv") is None:
        raise ProgramMissing(
            "As root, the servers run as an ordinary user, for which setpriv is needed.",
            remedy="Install the package util-linux, which has setpriv, or run the command as an ordinary user.",
        )
    uid, gid = _user(data)
    return ServerUser(uid, gid, _without_rights(uid, gid))


def _user(data: Path) -> tuple[int, int]:
    if data.exists() and data.stat().st_uid != _ROOT:
        return data.stat().st_uid, data.stat().st_gid
    nobody = pwd.getpwnam("nobody")
    return nobody.pw_uid, nobody.pw_gid


def _without_rights(uid: int, gid: int) -> tuple[str, ...]:
    """Return the command prefix that becomes another user and permanently gives up every capability.

    Source: https://man7.org/linux/man-pages/man1/setpriv.1.html
    """
    identity = (f"--reuid={uid}", f"--regid={gid}", "--clear-groups")
    return ("setpriv", *identity, "--inh-caps=-all", "--ambient-caps=-all", "--no-new-privs", "--")
