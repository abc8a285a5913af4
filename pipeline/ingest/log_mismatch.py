"""What is seen of a log that is not the one any more that a generation was fed from, and what an operator does then."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from connectors.errors import SourceContractViolation


class MismatchReason(StrEnum):
    """In what the log is another one.

    The first ones are about the topics: the source's history may be whole, and only its log is not the same. The
    others are about that history: changes are missing, or what comes cannot be put in order with what came.
    """

    TOPIC_REMADE = "topic made anew"
    PARTITIONS_CHANGED = "partitions changed"
    OFFSET_GONE = "offset gone"
    KEYS_CHANGED = "keys changed"
    SLOT_GONE = "slot gone"
    SLOT_AHEAD = "slot ahead"
    LSN_BACK = "LSN gone back"
    OTHER_SOURCE = "another source"
    SECOND_SNAPSHOT = "second snapshot"
    INCOMPLETE = "log incomplete"

    @property
    def can_be_continued(self) -> bool:
        """Whether an operator can know that nothing was lost, and let offsets begin anew."""
        return self in (MismatchReason.TOPIC_REMADE, MismatchReason.PARTITIONS_CHANGED, MismatchReason.OFFSET_GONE)


@dataclass(frozen=True)
class LogMismatch:
    """One thing that was seen.

    Args:
        sentence: what is so, and where.
        topic: the one that it is about; empty where it is about all of them.
        remedy: what has to be done before an epoch is opened; empty for nothing.
    """

    reason: MismatchReason
    sentence: str
    topic: str = ""
    remedy: str = ""


_RESNAPSHOT = (
    "`readmodels epoch open --resnapshot --execute` begins a new epoch with a snapshot of PostgreSQL, which puts "
    "everything right"
)


class EpochMismatch(SourceContractViolation):
    """The log is not the one any more that a read model was fed from; nothing of the other one was applied.

    Args:
        seen: everything that was found.
    """

    def __init__(self, seen: Iterable[LogMismatch]) -> None:
        self.seen = tuple(seen)
        super().__init__("; ".join(f"{one.reason}: {one.sentence}" for one in self.seen))
        if all(one.reason.can_be_continued for one in self.seen):
            self.remedy = (
                "If nothing was lost, `readmodels epoch open --continue --execute` lets the models read on in what is "
                "there now. "
                f"Otherwise, or in doubt: {_RESNAPSHOT}. Without --execute each says what it would do; docs/epochs.md."
            )
        else:
            first = "".join(f"{remedy} Then " for remedy in dict.fromkeys(one.remedy for one in self.seen) if remedy)
            self.remedy = (
                f"Changes may be missing: {first}{_RESNAPSHOT}. Without --execute it says what it would do; "
                "docs/epochs.md."
            )
