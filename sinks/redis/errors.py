"""What can be wrong with a Redis server itself."""

from __future__ import annotations

from sinks.errors import SinkError


class UnsupportedServer(SinkError):
    """The server answers, but cannot hold the read model as it is set up.

    Args:
        problem: what is wrong with it.
        remedy: what an operator has to change.
    """

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem)
        self.remedy = remedy
