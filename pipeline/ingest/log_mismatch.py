"""Reasons why a topic no longer matches the log a generation was built from, with a remedy for each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from connectors.errors import SourceContractViolation


class MismatchReason(StrEnum):
    """Reason why the log is not the recorded one.

    The first ones concern the topics: the source's history may be complete, only its log differs. The others concern
    that history: changes are missing, or new records cannot be ordered relative to earlier ones.
    """

    TOPIC_REMADE = "topic recreated"
    PARTITIONS_CHANGED = "partitions changed"
    OFFSET_GONE = "offset gone"
    KEYS_CHANGED = "keys changed"
    SLOT_GONE = "slot gone"
    SLOT_AHEAD = "slot ahead"
    LSN_BACK = "LSN decreased"
    OTHER_SOURCE = "another source"
    SECOND_SNAPSHOT = "second snapshot"
    INCOMPLETE = "log incomplete"

    @property
    def can_be_continued(self) -> bool:
        """True if an operator can know that nothing was lost, and may let offsets start again."""
        return self in (MismatchReason.TOPIC_REMADE, MismatchReason.PARTITIONS_CHANGED, MismatchReason.OFFSET_GONE)


@dataclass(frozen=True)
class LogMismatch:
    """Observed mismatch.

    Args:
        sentence: what was observed, and where.
        topic: the affected topic; empty if all are affected.
        remedy: what has to be done before an epoch is opened; empty for nothing.
    """

    reason: MismatchReason
    sentence: str
    topic: str = ""
    remedy: str = ""


_RESNAPSHOT = (
    "`readmodels epoch open --resnapshot --execute` starts a new epoch with a snapshot of PostgreSQL, which is always "
    "correct"
)


class EpochMismatch(SourceContractViolation):
    """The log is no longer the one that a read model was built from. No record of the other log was applied.

    Args:
        seen: all mismatches that were found.
    """

    def __init__(self, seen: Iterable[LogMismatch]) -> None:
        self.seen = tuple(seen)
        super().__init__("; ".join(f"{one.reason}: {one.sentence}" for one in self.seen))
        if all(one.reason.can_be_continued for one in self.seen):
            self.remedy = (
                "If no change was lost, `readmodels epoch open --continue --execute` continues with the existing log. "
                f"Otherwise, or in doubt: {_RESNAPSHOT}. Without --execute, each prints its steps; see "
                "docs/operations/epochs.md."
            )
        else:
            first = "".join(f"{remedy} Then " for remedy in dict.fromkeys(one.remedy for one in self.seen) if remedy)
            self.remedy = (
                f"Changes may be missing: {first}{_RESNAPSHOT}. Without --execute, it prints its steps; see "
                "docs/operations/epochs.md."
            )
