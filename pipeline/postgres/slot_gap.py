"""Check that the replication slot still has everything that the connector has not read."""

from collections.abc import Iterable, Mapping
from typing import Any

from connectors.errors import SourceContractViolation
from pipeline.ingest.log_mismatch import LogMismatch, MismatchReason
from pipeline.postgres.replication import Slot


class SlotGap(SourceContractViolation):
    """Changes between the connector's position and the start of the slot are missing for ever."""

    remedy = (
        "Stop the workers, then run `readmodels epoch open --resnapshot --execute`: it starts a new epoch, with a new "
        "slot and a snapshot of PostgreSQL. Or recreate the log and the models: run `readmodels teardown --execute`, "
        "then `readmodels init`."
    )


def require_no_gap(name: str, slot: Slot | None, offsets: Iterable[Mapping[str, Any]]) -> None:
    """Refuse a slot that starts after the connector's position. Debezium would skip the gap silently.

    Args:
        name: name of the slot.
        slot: the slot as read before `offsets`; in the opposite order, a running connector would seem to have a gap.
        offsets: offsets that Kafka Connect has recorded for the connector. Before its first streamed change, every slot
            is
            accepted.

    Raises:
        SlotGap: the slot is gone, or is ahead.
    """
    found = find_gap(name, slot, connector_lsn(offsets))
    if found is not None:
        raise SlotGap(found.sentence)


def find_gap(name: str, slot: Slot | None, lsn: int | None) -> LogMismatch | None:
    """Return the gap between a slot and a connector; None if there is none.

    Args:
        lsn: LSN to which the connector has read; None before its first streamed change.
    """
    if lsn is None:
        return None
    if slot is None:
        return LogMismatch(MismatchReason.SLOT_GONE, f"slot {name} is gone, and the connector had read to LSN {lsn}")
    if slot.wal_status == "lost":
        return LogMismatch(
            MismatchReason.SLOT_GONE,
            f"slot {name} has lost WAL that it needed, and the connector had read to LSN {lsn}",
        )
    if slot.confirmed_flush_lsn is not None and slot.confirmed_flush_lsn > lsn:
        sentence = f"slot {name} begins at LSN {slot.confirmed_flush_lsn}, the connector had read to {lsn}"
        return LogMismatch(MismatchReason.SLOT_AHEAD, sentence)
    return None


def connector_lsn(offsets: Iterable[Mapping[str, Any]]) -> int | None:
    """Return the LSN to which a connector has read (from Kafka Connect); None before its first streamed change."""
    return max((place for entry in offsets if (place := _streamed_to(entry)) is not None), default=None)


def _streamed_to(entry: Mapping[str, Any]) -> int | None:
    # Debezium confirms `lsn_commit` to the slot: the commit before the transaction that it is reading. If it knows of
    # no commit, it confirms `lsn_proc`, its last change. Either may be the higher, because a change of a transaction
    # that commits late lies below an earlier commit. Nothing else commits between the two, so a slot up to either has
    # lost nothing.
    places = [(entry["offset"] or {}).get(field) for field in ("lsn_proc", "lsn_commit")]
    return max((int(place) for place in places if place is not None), default=None)
