"""Bound of a worker's memory: what readers ask for beyond it fails, and the process lives on.

DuckDB's own `memory_limit` does not count long values, results and the parser. The kernel counts all of them, and
refuses the allocation; DuckDB answers the one query with an error.

Source: https://man7.org/linux/man-pages/man2/getrlimit.2.html, RLIMIT_DATA
"""

from __future__ import annotations

import resource
import threading
from dataclasses import dataclass
from pathlib import Path

import structlog

STATUS = Path("/proc/self/status")
WATCHED_EVERY_S = 1.0
TOLD_EVERY_S = 60.0
NEARLY = 0.9

log = structlog.get_logger()


@dataclass(frozen=True)
class MemoryBound:
    """A bound of the data of this process, in bytes."""

    limit_bytes: int

    def apply(self) -> None:
        """Have the kernel refuse what is beyond the bound, where the kernel is Linux."""
        if STATUS.exists():
            _, hard = resource.getrlimit(resource.RLIMIT_DATA)
            resource.setrlimit(resource.RLIMIT_DATA, (self.limit_bytes, hard))

    def follow(self, stop: threading.Event) -> None:
        """Log when the process comes near the bound, so that a failure soon after has its reason in the log."""
        threading.Thread(target=self._watch, args=(stop,), name="memory", daemon=True).start()

    def _watch(self, stop: threading.Event) -> None:
        while STATUS.exists() and not stop.wait(WATCHED_EVERY_S):
            taken_bytes = data_bytes()
            if taken_bytes > NEARLY * self.limit_bytes:
                log.warning(
                    "memory nearly at its bound",
                    data_bytes=taken_bytes,
                    limit_bytes=self.limit_bytes,
                    remedy="End large queries of readers, or raise `duckdb.memory_headroom`.",
                )
                stop.wait(TOLD_EVERY_S)


def data_bytes() -> int:
    """Return the size of the data of this process, as RLIMIT_DATA counts it; 0 where the kernel does not tell."""
    if not STATUS.exists():
        return 0
    lines = STATUS.read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmData:"))
