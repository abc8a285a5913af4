"""Results of the search for parts of a deployment: removable parts, parts left alone, and unreadable areas."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg
from confluent_kafka import KafkaException

from connectors.errors import DependencyUnavailable, SourceContractViolation
from connectors.kafka_connect import ConnectError
from pipeline.postgres.database import SourceError
from pipeline.setup.source import UNCHANGED
from sinks.errors import SinkError

EXPECTED = (
    ConnectError,
    SourceContractViolation,
    DependencyUnavailable,
    SourceError,
    SinkError,
    KafkaException,
    psycopg.Error,
    OSError,
)
"""Errors of servers and files. If one area fails with them, the others are still removed."""


@dataclass(frozen=True)
class RemovablePart:
    """Existing part of the deployment.

    Args:
        name: a phrase such as "index orders-000001".
        remove: removes it; safe to repeat.
    """

    name: str
    remove: Callable[[], None]


@dataclass(frozen=True)
class LeftAlone:
    """Existing part for which nothing proves that it belongs to the deployment.

    Args:
        problem: names the part and the reason why it stays.
        remedy: how an operator removes it.
    """

    problem: str
    remedy: str


class NotRemoved(Exception):
    """A part of the deployment could not be read or not be removed."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem)
        self.remedy = remedy


@dataclass
class Area:
    """Area of a deployment: parts of one kind, such as the topics.

    Args:
        name: a short name for reports.
        found: removable parts, in the order of their removal.
        left: parts that are left alone.
        unseen: reasons why some or all of the area cannot be read.
    """

    name: str
    found: list[RemovablePart] = field(default_factory=list)
    left: list[LeftAlone] = field(default_factory=list)
    unseen: list[NotRemoved] = field(default_factory=list)

    @contextmanager
    def looking(self) -> Iterator[None]:
        """Record an error of the block as a reason why the area cannot be read."""
        try:
            yield
        except EXPECTED as error:
            self.unseen.append(told(error))

    def remove(self) -> tuple[list[str], list[NotRemoved]]:
        """Remove all parts that were found. If one fails, the others are still removed.

        Returns: the names of the removed parts, and the reasons why others were not removed.
        """
        removed, failed = [], []
        for one in self.found:
            try:
                one.remove()
                removed.append(one.name)
            except EXPECTED as error:
                reason = told(error)
                failed.append(NotRemoved(f"{one.name} is not removed: {reason}", reason.remedy))
        return removed, failed

    def carry_out(self) -> str:
        """Remove all parts that were found, and return their names as text.

        Raises:
            NotRemoved: a part could not be read or not be removed.
        """
        removed, failed = self.remove()
        for problem in [*self.unseen, *failed]:
            raise problem
        return outcome(removed)


def outcome(removed: Sequence[str]) -> str:
    """Return a text that lists the removed parts."""
    return f"removed {', '.join(removed)}" if removed else UNCHANGED


def told(error: Exception) -> NotRemoved:
    """Convert an error, also one of a client library, to a message with a remedy."""
    if isinstance(error, NotRemoved):
        return error
    if isinstance(error, KafkaException):
        return NotRemoved(f"Kafka: {error.args[0].str()}", DependencyUnavailable.remedy)
    if isinstance(error, psycopg.Error):
        return NotRemoved(f"PostgreSQL: {error.diag.message_primary or error}", SourceError.remedy)
    if isinstance(error, OSError):
        return NotRemoved(f"{error.filename}: {error.strerror}", "Let the user of this process read and write it.")
    return NotRemoved(str(error), str(getattr(error, "remedy", "")))


def problems(areas: Iterable[Area]) -> list[NotRemoved]:
    """List the reasons why parts of the areas cannot be read, each once."""
    return list({str(one): one for area in areas for one in area.unseen}.values())
