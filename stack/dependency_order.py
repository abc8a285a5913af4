"""Execution of one action for every server, in parallel as far as their dependencies allow."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor


def run_in_dependency_order(
    after: Mapping[str, Sequence[str]], act: Callable[[str], None], interrupted: threading.Event
) -> None:
    """Call `act` for all names in parallel, but for each only after the calls for its dependencies have returned.

    Waits for all calls, then raises the first error, if any.

    Args:
        after: for every name its dependencies, which come before it in the mapping.
        act: the action; called in several threads.
        interrupted: set on a keyboard interrupt, so that `act` can end early.
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
