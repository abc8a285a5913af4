"""What can go wrong with a store, as types. Each says what happened and holds the operator's remedy."""

from __future__ import annotations

from collections.abc import Mapping


class SinkError(Exception):
    """A store did not do what it was asked to do."""

    remedy = (
        "This is a fault of readmodels. Send this message, which holds no row values, to the maintainers of readmodels."
    )


class StoreUnavailable(SinkError):
    """The store did not answer, or answered that it cannot serve now. Trying again later is right."""

    remedy = (
        "Start the store, or correct its address, `elasticsearch.url` or `redis.url`; the worker goes on by itself "
        "when the store answers."
    )


class StoreBlocked(StoreUnavailable):
    """The store answers, and refuses every write until an operator changes something about it.

    Args:
        problem: the store's reason.
        remedy: what has to be changed; the worker goes on by itself then.
    """

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem)
        self.remedy = remedy


class StoreNeedsRestart(SinkError):
    """The store cannot go on in this process; what it holds on disk is whole, and a new process opens it again."""

    remedy = "The worker restarts by itself. If the error recurs, free space on the disk that `duckdb.directory` names."


class MemoryRefused(StoreNeedsRestart):
    """The kernel refused memory to a store that runs in this process."""


class MutationRejected(SinkError):
    """The store answered, and refused a mutation.

    Args:
        model: the read model; `all` where the store does not know its name.
    """

    def __init__(self, problem: str, model: str = "all") -> None:
        super().__init__(problem)
        self.remedy = (
            f"Run `readmodels replay {model} --execute`: it builds a new generation from the log. If that is refused "
            f"at the same records, run `readmodels replay {model} --snapshot --execute`: it reads the rows that "
            "PostgreSQL has now instead of the log."
        )


class GenerationMissing(SinkError):
    """The generation that was to be written is not there, or readers' names do not lead where they should."""

    remedy = "Run `readmodels init`: it makes a generation live again, a new one if none is left."


class GenerationBroken(SinkError):
    """A file, an index or the metadata of a generation is damaged or gone; other generations are not affected."""

    remedy = "Run `readmodels replay all --execute`: it builds a new generation from the log."


class GenerationInUse(SinkError):
    """The generation is the one that readers see, so it cannot be removed."""

    remedy = (
        "Cut over to another generation first with `readmodels cutover`, or remove all models with "
        "`readmodels teardown`."
    )


class OffsetGap(SinkError):
    """The store's progress lies before the batch: it lost writes that it had acknowledged.

    Args:
        stored: per shard that was lost, the offset from which the store must be fed again.
    """

    remedy = "Nothing to do: the worker reads the log again from the store's own progress."

    def __init__(self, stored: Mapping[tuple[str, int], int]) -> None:
        places = ", ".join(f"{topic}/{partition} at {offset}" for (topic, partition), offset in stored.items())
        super().__init__(f"the store has gone back: {places}")
        self.stored = dict(stored)
