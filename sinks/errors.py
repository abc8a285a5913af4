"""Errors of stores, as types. Each has a message and the operator's remedy."""

from __future__ import annotations

from collections.abc import Mapping


class SinkError(Exception):
    """A store failed an operation."""

    remedy = (
        "This is a fault of readmodels. Send this message, which holds no row values, to the maintainers of readmodels."
    )


class StoreUnavailable(SinkError):
    """The store did not answer, or answered that it cannot serve now. A later retry may succeed."""

    remedy = (
        "Start the store, or correct its address, `elasticsearch.url` or `redis.url`; the worker resumes "
        "when the store answers."
    )


class StoreBlocked(StoreUnavailable):
    """The store answers, but refuses every write until an operator changes something.

    Args:
        problem: the store's reason.
        remedy: the required change; the worker then resumes by itself.
    """

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem)
        self.remedy = remedy


class StoreNeedsRestart(SinkError):
    """The store cannot continue in this process. Its data on disk is intact, and a new process can open it."""

    remedy = (
        "The worker restarts automatically. If the error recurs, free space on the disk that `duckdb.directory` names."
    )


class MemoryRefused(StoreNeedsRestart):
    """The kernel refused memory to a store that runs in this process."""


class MutationRejected(SinkError):
    """The store answered, and rejected a mutation.

    Args:
        model: the read model; `all` if the store does not know its name.
    """

    def __init__(self, problem: str, model: str = "all") -> None:
        super().__init__(problem)
        self.remedy = (
            f"Run `readmodels replay {model} --execute`: it builds a new generation from the log. If that is refused "
            f"at the same records, run `readmodels replay {model} --snapshot --execute`: it reads the rows that "
            "PostgreSQL has now instead of the log."
        )


class GenerationMissing(SinkError):
    """The generation to write is missing, or the readers' names do not point to the right generation."""

    remedy = "Run `readmodels init`: it makes a generation live again, or creates one if none exists."


class GenerationBroken(SinkError):
    """A file, an index or the metadata of a generation is damaged or missing. Other generations are not affected."""

    remedy = "Run `readmodels replay all --execute`: it builds a new generation from the log."


class GenerationInUse(SinkError):
    """The generation is live, so it cannot be removed."""

    remedy = (
        "Cut over to another generation first with `readmodels cutover`, or remove all models with "
        "`readmodels teardown`."
    )


class OffsetGap(SinkError):
    """The stored progress is before the batch: the store lost acknowledged writes.

    Args:
        stored: per affected topic partition, the offset from which the log must be replayed.
    """

    remedy = "Nothing to do: the worker reads the log again from the store's own progress."

    def __init__(self, stored: Mapping[tuple[str, int], int]) -> None:
        places = ", ".join(f"{topic}/{partition} at {offset}" for (topic, partition), offset in stored.items())
        super().__init__(f"the store was rolled back: {places}")
        self.stored = dict(stored)
