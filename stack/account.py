"""The user that the servers run as.

PostgreSQL and Elasticsearch refuse to run as root, so root's stack runs as somebody without rights.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from stack.errors import ProgramMissing
from stack.home import write_privately

_ROOT = 0
_WAYS_TO_REACH = ("", "+dac_read_search", "+dac_override")
"""Capabilities to try, weakest first: root's own folders are often closed to everybody else.

Source: https://man7.org/linux/man-pages/man7/capabilities.7.html
"""


@dataclass(frozen=True)
class Account:
    """Who runs the servers.

    Attributes:
        uid: the user id that owns the data.
        gid: its group id.
        prefix: what to put before a command so that it runs as this user; empty where we are that user.
    """

    uid: int
    gid: int
    prefix: tuple[str, ...] = ()

    def own(self, path: Path) -> Path:
        """Give a file or folder to this user."""
        if self.prefix:
            os.chown(path, self.uid, self.gid)
        return path

    def folder(self, path: Path) -> Path:
        """Return the folder `path` of this user, making it where it is missing."""
        if not path.exists():
            path.mkdir(parents=True, mode=0o700)
            self.own(path)
        return path

    def write(self, path: Path, text: str) -> Path:
        """Write a file that only this user reads."""
        write_privately(path, text)
        return self.own(path)


def account_for(data: Path, must_reach: list[Path]) -> Account:
    """Return the account that runs the servers whose data lies in `data`.

    That is the caller, or for root the owner of the data, or where there is none yet the system's `nobody`.

    Args:
        data: the folder of the servers' data.
        must_reach: files and folders that the servers read.

    Raises:
        ProgramMissing: we are root, and `setpriv` is not there to step down.
    """
    if os.geteuid() != _ROOT:
        return Account(os.geteuid(), os.getegid())
    if shutil.which("setpriv") is None:
        raise ProgramMissing(
            "As root, the servers run as an ordinary user, for which setpriv is needed.",
            remedy="Install util-linux, or run the command as an ordinary user.",
        )
    uid, gid = _user(data)
    for capability in _WAYS_TO_REACH:
        prefix = _stepping_down(uid, gid, capability)
        if all(_reaches(prefix, path) for path in must_reach):
            break
    return Account(uid, gid, prefix)


def _user(data: Path) -> tuple[int, int]:
    if data.exists() and data.stat().st_uid != _ROOT:
        return data.stat().st_uid, data.stat().st_gid
    nobody = pwd.getpwnam("nobody")
    return nobody.pw_uid, nobody.pw_gid


def _stepping_down(uid: int, gid: int, capability: str) -> tuple[str, ...]:
    command: tuple[str, ...] = ("setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups")
    if capability:
        # Without the secure bit, access(2), by which Java asks, answers as if the capability were not there.
        kept = (f"--inh-caps={capability}", f"--ambient-caps={capability}")
        command = (*command, "--securebits=+no_setuid_fixup", *kept)
    return (*command, "--")


def _reaches(prefix: tuple[str, ...], path: Path) -> bool:
    return subprocess.run([*prefix, "test", "-r", path], check=False).returncode == 0
