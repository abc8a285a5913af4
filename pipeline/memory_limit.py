"""Memory limit of a worker: readers' requests beyond it fail, and the process survives.

DuckDB's own `memory_limit` does not count long values, results and the parser. The kernel counts all of them and
refuses the allocation; DuckDB then fails the one query. If the worker's own work is refused memory, the worker ends
with the reason and is restarted, which frees fragmented or leaked memory.

Source: https://man7.org/linux/man-pages/man2/getrlimit.2.html, RLIMIT_DATA
"""

from __future__ import annotations

import resource
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog

from sinks.errors import MemoryRefused

STATUS = Path("/proc/self/status")
WATCHED_EVERY_S = 1.0
TOLD_EVERY_S = 60.0
NEARLY = 0.9

log = structlog.get_logger()


class MemoryExhausted(Exception):
    """The kernel refused memory to this process; a new process replaces it.

    Args:
        is_bounded: whether the limit is that of `MemoryLimit`.
    """

    def __init__(self, problem: str, *, is_bounded: bool) -> None:
        super().__init__(problem)
        self.remedy = (
            "The worker restarts automatically. If the error recurs, raise `duckdb.memory_headroom` and restart it."
            if is_bounded
            else "The worker restarts automatically. If the error recurs, give its process more memory (`ulimit -d`, "
            "the limit of its container, or the machine), and restart it."
        )


@dataclass(frozen=True)
class MemoryLimit:
    """Limit of this process's data segment, in bytes."""

    limit_bytes: int

    def apply(self) -> None:
        """Set the limit, if the kernel is Linux."""
        if STATUS.exists():
            _, hard = resource.getrlimit(resource.RLIMIT_DATA)
            limit_bytes = self.limit_bytes if hard == resource.RLIM_INFINITY else min(self.limit_bytes, hard)
            resource.setrlimit(resource.RLIMIT_DATA, (limit_bytes, hard))

    def follow(self, stop: threading.Event) -> None:
        """Log when the process approaches the limit, so that the log explains a failure soon after."""
        threading.Thread(target=self._watch, args=(stop,), name="memory", daemon=True).start()

    def _watch(self, stop: threading.Event) -> None:
        while STATUS.exists() and not stop.wait(WATCHED_EVERY_S):
            taken_bytes = data_bytes()
            if taken_bytes > NEARLY * self.limit_bytes:
                log.warning(
                    "memory close to its limit",
                    data_bytes=taken_bytes,
                    limit_bytes=self.limit_bytes,
                    remedy="Cancel large queries of readers, or raise `duckdb.memory_headroom`.",
                )
                stop.wait(TOLD_EVERY_S)


@contextmanager
def named_exhaustion() -> Iterator[None]:
    """Convert a refused allocation in the block to an error that names the process's memory and its limit.

    Raises:
        MemoryExhausted: the block was refused memory. The limit is lifted, because reporting the error needs memory
            too.
    """
    try:
        yield
    except (MemoryError, MemoryRefused) as error:
        taken_bytes = data_bytes()
        soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (hard, hard))
        # `ulimit -d` sets both limits, and `MemoryLimit` the soft one.
        is_bounded = soft != hard
        setting = "`duckdb.memory_headroom`" if is_bounded else "`ulimit -d`"
        bound = "no bound" if soft == resource.RLIM_INFINITY else f"a bound of {soft:,} bytes by {setting}"
        problem = f"the kernel refused memory: the process holds {taken_bytes:,} bytes of data, with {bound}"
        raise MemoryExhausted(problem, is_bounded=is_bounded) from error


def data_bytes() -> int:
    """Return the size of this process's data, as RLIMIT_DATA counts it; 0 if the kernel does not report it."""
    if not STATUS.exists():
        return 0
    lines = STATUS.read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmData:"))
