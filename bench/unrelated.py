"""Load processes that use a given processor time and nothing else."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.synchronize import Barrier, Event

import psutil

PROCESSES = 4
"""Number of processes; several, because readers also run on several cores at once."""
TURN_S = 0.05


@contextmanager
def unrelated(cores: float) -> Iterator[None]:
    """Use the time of this number of cores, spread over `PROCESSES` processes, during the block."""
    context = multiprocessing.get_context("spawn")
    started, ended = context.Barrier(PROCESSES + 1), context.Event()
    share = cores / PROCESSES
    processes = [context.Process(target=_burn, args=(share, started, ended), daemon=True) for _ in range(PROCESSES)]
    for process in processes:
        process.start()
    started.wait()
    try:
        yield
    finally:
        ended.set()
        for process in processes:
            process.join()


def _burn(share: float, started: Barrier, ended: Event) -> None:
    """Use the processor for this share of the time, and catch up if other processes had the processor."""
    started.wait()
    at, used = time.monotonic(), time.process_time()
    while not ended.is_set():
        ahead_s = (time.process_time() - used) - share * (time.monotonic() - at)
        if ahead_s > 0:
            ended.wait(ahead_s / share)
            continue
        turn = time.process_time() + TURN_S
        while time.process_time() < turn:
            pass


def processor_time() -> float:
    """Return the processor seconds of this process and of its running child processes."""
    own = psutil.Process()
    return sum(one.cpu_times().user + one.cpu_times().system for one in (own, *own.children()))
