"""Waiting for a condition, with a time limit."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")

POLL_S = 0.1


def wait_for(find: Callable[[], Found | None], within_s: float, otherwise: Callable[[], str]) -> Found:
    """Return the result of `find` once it is true.

    Args:
        otherwise: describes the actual state for the error message if `within_s` passes first.
    """
    deadline = time.monotonic() + within_s
    while not (found := find()):
        assert time.monotonic() < deadline, f"not within {within_s:g} s: {otherwise()}"
        time.sleep(POLL_S)
    return found
