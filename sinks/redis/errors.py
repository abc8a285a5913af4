"""Errors of the Redis server itself."""

from __future__ import annotations

from sinks.errors import SinkError


class UnsupportedServer(SinkError):
    """The server answers, but its setup does not suit the read model.

    Args:
        problem: the unsuitable property.
        remedy: the change that an operator must make.
    """

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem)
        self.remedy = remedy
