"""Waiting until a read model holds everything that was committed before now."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pipeline.postgres.database import Connection
from pipeline.postgres.watermark import Mark, Marks, of_topics
from pipeline.verify.readers.reader import Shown
from sinks.batch import Shard

LOOK_EVERY_S = 0.1

Tell = Callable[[int], None]
"""Is told how many records a model still lacks."""


class ModelBehind(Exception):
    """A read model did not get as far as PostgreSQL was, in the time it was given."""

    remedy = (
        "`readmodels status` shows its lag. Let its worker go on with `readmodels resume`, start it with `readmodels "
        "run`, or give it longer: `readmodels verify --timeout 600`."
    )


@dataclass(frozen=True)
class Arrival:
    """Marks in one source, and how long a model may take to reach them.

    Args:
        connection: one on which every statement is a transaction.
        topics: those that feed the model, where the marks freeze the ends of others too; None for all of the marks'.
    """

    marks: Marks
    connection: Connection
    timeout_s: float
    topics: frozenset[str] | None = None

    def mark(self) -> Mark:
        """Set a mark: everything that is committed now lies before it."""
        return self.marks.set(self.connection)

    def ends(self, mark: Mark) -> Mapping[Shard, int]:
        """The offsets at which a model holds everything before the mark.

        Raises:
            MarkNotSeen: the connector did not carry the mark to Kafka in time.
        """
        return self.marks.await_in_log(mark, self.timeout_s).end_offsets

    def wait(self, model: str, shown: Shown, ends: Mapping[Shard, int], tell: Tell) -> None:
        """Return once the model has reached these offsets.

        Raises:
            ModelBehind: it has not in time; the message says how far it is.
        """
        deadline = time.monotonic() + self.timeout_s
        wanted = ends if self.topics is None else of_topics(ends, self.topics)
        while lacking := _lacking(shown.progress(), wanted):
            tell(sum(lacking.values()))
            if time.monotonic() > deadline:
                (topic, partition), records = max(lacking.items(), key=lambda one: one[1])
                raise ModelBehind(
                    f"{model} has not reached the mark after {self.timeout_s:g} s: it lacks {sum(lacking.values())}"
                    f" records in {len(lacking)} partitions, {records} of them in {topic}/{partition}"
                )
            time.sleep(LOOK_EVERY_S)
        tell(0)


def _lacking(progress: Mapping[Shard, int], ends: Mapping[Shard, int]) -> dict[Shard, int]:
    return {shard: end - progress.get(shard, 0) for shard, end in ends.items() if progress.get(shard, 0) < end}
