"""Doing one thing to every server, at the same time where nothing forbids it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor


def run_in_dependency_order(
    after: Mapping[str, Sequence[str]], act: Callable[[str], None], interrupted: threading.Event
) -> None:
    """Call `act` for every name at once, but for each only after it returned for the names that it waits for.

    Waits for all of them, then raises the first error, if any.

    Args:
        after: for every name those that it waits for, which come before it in the mapping.
        act: what to do; called in several threads.
        interrupted: set on an interrupt from the keyboard, so that `act` can end early.
    """

    def act_in_turn(name: str, earlier: list[Future[None]]) -> None:
        for future in earlier:
            future.result()
        act(name)

    done: dict[str, Future[None]] = {}
    with ThreadPoolExecutor(len(after)) as pool:
        for name, earlier in after.items():
            done[name] = pool.submit(act_in_turn, name, [done[other] for other in earlier])
        try:
            for future in done.values():
                future.result()
        except KeyboardInterrupt:
            interrupted.set()
            raise
