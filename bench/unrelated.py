"""Processes that take as much processor time as they are told to, and touch nothing else."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.synchronize import Barrier, Event

import psutil

PROCESSES = 4
"""Not one: readers, too, ask for the processor from several places at once."""
TURN_S = 0.05


@contextmanager
def unrelated(cores: float) -> Iterator[None]:
    """Take so many cores' time, spread over a few processes, for as long as the block lasts."""
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
    """Be at work for this share of the time; where others had the processor, catch up."""
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
    """Of this process and those that it has started and that still run, in seconds."""
    own = psutil.Process()
    return sum(one.cpu_times().user + one.cpu_times().system for one in (own, *own.children()))
