"""Results of looking for the parts of a deployment: what can be removed, what is left alone, what cannot be seen."""

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
"""Errors of servers and files. One area that fails with them does not keep the others from being removed."""


@dataclass(frozen=True)
class RemovablePart:
    """A part of the deployment that exists.

    Args:
        name: a phrase that names it, such as "index orders-000001".
        remove: removes it; safe to repeat.
    """

    name: str
    remove: Callable[[], None]


@dataclass(frozen=True)
class LeftAlone:
    """Something that exists, and that nothing proves to be part of the deployment.

    Args:
        problem: what it is, and why it stays.
        remedy: how an operator removes it.
    """

    problem: str
    remedy: str


class NotRemoved(Exception):
    """A part of the deployment could not be looked at, or could not be removed."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem)
        self.remedy = remedy


@dataclass
class Area:
    """One kind of parts, such as the topics.

    Args:
        name: a short name, which reports show.
        found: what can be removed, in the order in which it is to be removed.
        left: what is left alone.
        unseen: why some or all of the area cannot be looked at.
    """

    name: str
    found: list[RemovablePart] = field(default_factory=list)
    left: list[LeftAlone] = field(default_factory=list)
    unseen: list[NotRemoved] = field(default_factory=list)

    @contextmanager
    def looking(self) -> Iterator[None]:
        """Note an error of the block as the reason why the area cannot be looked at."""
        try:
            yield
        except EXPECTED as error:
            self.unseen.append(told(error))

    def remove(self) -> tuple[list[str], list[NotRemoved]]:
        """Remove everything that was found; one part that fails does not keep the others.

        Returns: the names of what was removed, and why the rest was not.
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
        """Remove everything that was found, and say what it was.

        Raises:
            NotRemoved: something could not be looked at, or not be removed.
        """
        removed, failed = self.remove()
        for problem in [*self.unseen, *failed]:
            raise problem
        return outcome(removed)


def outcome(removed: Sequence[str]) -> str:
    """Say what was removed."""
    return f"removed {', '.join(removed)}" if removed else UNCHANGED


def told(error: Exception) -> NotRemoved:
    """Say what happened, in our words and with a remedy, also where the error is of a client library."""
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
    """List why parts of the areas cannot be looked at, each reason once."""
    return list({str(one): one for area in areas for one in area.unseen}.values())
