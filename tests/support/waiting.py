"""Waiting for what must come, within a bound."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")

POLL_S = 0.1


def wait_for(find: Callable[[], Found | None], within_s: float, otherwise: Callable[[], str]) -> Found:
    """Return what `find` finds, once it is something true.

    Args:
        otherwise: says what is the case instead, when `within_s` has passed.
    """
    deadline = time.monotonic() + within_s
    while not (found := find()):
        assert time.monotonic() < deadline, f"not within {within_s:g} s: {otherwise()}"
        time.sleep(POLL_S)
    return found
