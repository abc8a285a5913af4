"""Largest resident set during a measurement."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil

LOOKS_EVERY_S = 0.1


@contextmanager
def peak_memory(resident: Callable[[], int]) -> Iterator[Callable[[], int]]:
    """Sample a resident set ten times a second during the block; the yielded function returns the maximum in bytes."""
    peak, until = [resident()], threading.Event()

    def watch() -> None:
        while not until.wait(LOOKS_EVERY_S):
            peak[0] = max(peak[0], resident())

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield lambda: peak[0]
    finally:
        until.set()
        thread.join()


def own_resident() -> int:
    """Return the resident set of this process."""
    return psutil.Process().memory_info().rss


def workers_resident() -> int:
    """Return the total resident set of all child processes that apply changes."""
    total = 0
    for child in psutil.Process().children(recursive=True):
        try:
            total += child.memory_info().rss if "work" in child.cmdline() else 0
        except (psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
    return total
