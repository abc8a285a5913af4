"""Servers of the benchmark: a separate local stack."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from stack.endpoints import Endpoints
from stack.local import LocalStack
from stack.progress import ConsoleReport

DESCRIPTION = Path("readmodels.toml")

_err = Console(stderr=True, highlight=False)


@contextmanager
def servers(home: Path) -> Iterator[Endpoints]:
    """Start a local stack, and stop it at the end unless it was running before."""
    stack = LocalStack(home)
    was_up = stack.pid("kafka") is not None
    try:
        yield stack.up(ConsoleReport(_err))
    finally:
        if not was_up:
            stack.down(ConsoleReport(_err))
