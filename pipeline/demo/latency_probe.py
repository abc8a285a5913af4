"""Latency probe: time from a commit in PostgreSQL until a reader of each store sees the change."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from queue import Queue

from sqlalchemy import Engine, insert

from pipeline.demo.readers import OrdersReader
from pipeline.demo.tables import Order

PROBE_EVERY_S = 0.25
LOOK_EVERY_S = 0.005
GIVE_UP_S = 30.0


@dataclass(frozen=True)
class VisibilityDelays:
    """Delays from commit to visible in seconds, for all probes that became visible, and the number that never did."""

    seen_s: tuple[float, ...]
    unseen: int

    @property
    def median_s(self) -> float:
        """Median of the delays."""
        return statistics.median(self.seen_s)

    @property
    def p99_s(self) -> float:
        """99th percentile of the delays."""
        return sorted(self.seen_s)[max(0, round(0.99 * len(self.seen_s)) - 1)]


@dataclass
class _Watch:
    """Probes of one store, checked one after the other on a separate thread."""

    is_visible: Callable[[int], bool]
    probes: Queue[tuple[int, float] | None] = field(default_factory=Queue)
    delays: list[float] = field(default_factory=list)
    unseen: int = 0

    def follow(self) -> None:
        while (probe := self.probes.get()) is not None:
            order_id, committed_at = probe
            while not self.is_visible(order_id):
                if time.monotonic() - committed_at > GIVE_UP_S:
                    self.unseen += 1
                    break
                time.sleep(LOOK_EVERY_S)
            else:
                self.delays.append(time.monotonic() - committed_at)


def measure(engine: Engine, readers: Mapping[str, OrdersReader], stop: threading.Event) -> dict[str, VisibilityDelays]:
    """Place an order every `PROBE_EVERY_S` until `stop` is set, and measure when each reader sees it."""
    watches = {
        name: _Watch(lambda order_id, reader=reader: reader.order(order_id) is not None)  # type: ignore[misc]
        for name, reader in readers.items()
    }
    threads = [threading.Thread(target=one.follow, name="visibility", daemon=True) for one in watches.values()]
    for thread in threads:
        thread.start()
    with engine.connect() as connection:
        while not stop.wait(PROBE_EVERY_S):
            with connection.begin():
                order_id = connection.execute(insert(Order).values(customer_id=0).returning(Order.id)).scalar_one()
            committed_at = time.monotonic()
            for one in watches.values():
                one.probes.put((order_id, committed_at))
    for one in watches.values():
        one.probes.put(None)
    for thread in threads:
        thread.join()
    return {name: VisibilityDelays(tuple(one.delays), one.unseen) for name, one in watches.items()}
