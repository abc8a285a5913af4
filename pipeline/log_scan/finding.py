"""Findings that prevent a rebuild from offset zero, or may do so later, each with its remedy."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

_SNAPSHOT = "`readmodels replay all --snapshot --execute` rebuilds from PostgreSQL instead"


class FindingReason(StrEnum):
    """Reason why a rebuild is refused, or what endangers the next one.

    The first ones concern the log, the others the store of the new generation.
    """

    TOPIC_MISSING = "topic missing"
    OFFSET_ZERO_GONE = "offset zero gone"
    COMPACTED = "compacted"
    RETENTION_LIMITED = "expires"
    SCHEMA_UNKNOWN = "schema unknown"
    CONTRACT_BROKEN = "contract broken"
    RECORD_UNREADABLE = "record unreadable"
    SNAPSHOT_UNFINISHED = "snapshot unfinished"
    SNAPSHOT_MISSING = "snapshot missing"
    SNAPSHOT_END_MISSING = "snapshot end missing"
    SNAPSHOT_AMBIGUOUS = "snapshot ambiguous"
    INSUFFICIENT_SPACE = "space lacking"
    LOW_SPACE = "space scarce"
    GENERATION_BROKEN = "generation broken"
    COLUMN_GONE = "column gone"
    COLUMN_ADDED = "column added"
    COLUMN_UNPROVED = "column unproved"
    COLUMN_UNTRUE = "column untrue"

    @property
    def is_fatal(self) -> bool:
        """True if the new generation would be incomplete or wrong, or could not be built."""
        return self not in _HARMLESS

    @property
    def remedy(self) -> str:
        """Remedy for the operator; empty if each finding has a remedy of its own."""
        return _REMEDIES[self]


_REMEDIES = {
    FindingReason.TOPIC_MISSING: "Run `readmodels init`, which creates the topics and starts the connector.",
    FindingReason.OFFSET_ZERO_GONE: (
        f"{_SNAPSHOT}. Then raise the retention of the topics: `retention.ms=-1` and `retention.bytes=-1`."
    ),
    FindingReason.COMPACTED: f"{_SNAPSHOT}. Then set `cleanup.policy=delete` with `retention.ms=-1` for the topics.",
    FindingReason.RETENTION_LIMITED: "Set `retention.ms=-1` and `retention.bytes=-1` for the topic with kafka-configs.",
    FindingReason.SCHEMA_UNKNOWN: f"Restore the registry's storage from its backup, ids included. Or: {_SNAPSHOT}.",
    FindingReason.CONTRACT_BROKEN: (
        f"Declare in readmodels.toml what the source sends now. If older records do not fit that: {_SNAPSHOT}."
    ),
    FindingReason.RECORD_UNREADABLE: f"Stop the producer that wrote it, if that was not the connector. {_SNAPSHOT}.",
    FindingReason.SNAPSHOT_UNFINISHED: (
        "Wait until the first snapshot has ended: `readmodels status` shows the connector."
    ),
    FindingReason.SNAPSHOT_MISSING: "Run `readmodels init`, which lets the connector snapshot the missing tables.",
    FindingReason.SNAPSHOT_END_MISSING: "Nothing to do if `readmodels verify` finds it equal to PostgreSQL.",
    FindingReason.SNAPSHOT_AMBIGUOUS: f"Do not use the log: {_SNAPSHOT}.",
    FindingReason.INSUFFICIENT_SPACE: (
        "Free or add disk space, or remove generations that are no longer needed: `readmodels prune --execute`."
    ),
    FindingReason.LOW_SPACE: "Monitor the disk during the rebuild, or run `readmodels prune --execute` first.",
    FindingReason.COLUMN_GONE: (
        "Correct the table's columns in readmodels.toml: remove a column that was dropped, or give a renamed one its "
        "new name. Then run `readmodels replay all --execute`."
    ),
    FindingReason.COLUMN_ADDED: "Nothing to do: older rows have this value in PostgreSQL; the comparison checks it.",
    FindingReason.COLUMN_UNPROVED: "",
    FindingReason.COLUMN_UNTRUE: "",
    FindingReason.GENERATION_BROKEN: "Nothing to do: the new generation replaces the damaged one.",
}


_HARMLESS = frozenset(
    {
        FindingReason.RETENTION_LIMITED,
        FindingReason.SNAPSHOT_END_MISSING,
        FindingReason.LOW_SPACE,
        FindingReason.GENERATION_BROKEN,
        FindingReason.COLUMN_ADDED,
        FindingReason.COLUMN_UNPROVED,
    }
)


@dataclass(frozen=True)
class LogFinding:
    """Single finding about a log or a store.

    Args:
        sentence: what was found, and where.
        own_remedy: the remedy if it depends on more than the reason.
        table: the described table whose rows may have to be sent again; empty if that would not help.
    """

    reason: FindingReason
    sentence: str
    own_remedy: str = ""
    table: str = ""

    def __post_init__(self) -> None:
        if not self.remedy:
            raise ValueError(f"a finding of the kind {self.reason.value!r} has no remedy")

    @property
    def is_fatal(self) -> bool:
        """True if the rebuild is refused because of this finding."""
        return self.reason.is_fatal

    @property
    def remedy(self) -> str:
        """Remedy for the operator."""
        return self.own_remedy or self.reason.remedy
