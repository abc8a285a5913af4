"""Whether the replication slot still holds everything that the connector has not read."""

from collections.abc import Iterable, Mapping
from typing import Any

from connectors.errors import ContractBroken
from pipeline.replication import Slot


class LogBroken(ContractBroken):
    """Changes between what the connector has read and what the slot still holds are missing for ever."""

    remedy = "Run `readmodels teardown` and `readmodels init`: the log must begin anew, with a snapshot."


def require_unbroken(name: str, slot: Slot | None, offsets: Iterable[Mapping[str, Any]]) -> None:
    """Refuse a slot that begins behind the place to which the connector has read; Debezium would skip the gap silently.

    Args:
        name: the slot's.
        slot: as it stood before `offsets` were read; the other way round, a connector at work would seem broken.
        offsets: what Kafka Connect has recorded for the connector. Before its first streamed change, nothing is held
            against the slot.

    Raises:
        LogBroken: the slot is gone, or is ahead.
    """
    read_to = max((place for entry in offsets if (place := _streamed_to(entry)) is not None), default=None)
    if read_to is None:
        return
    if slot is None:
        raise LogBroken(f"slot {name} is gone, and the connector had read to LSN {read_to}")
    if slot.confirmed_flush_lsn is not None and slot.confirmed_flush_lsn > read_to:
        raise LogBroken(f"slot {name} begins at LSN {slot.confirmed_flush_lsn}, the connector had read to {read_to}")


def _streamed_to(entry: Mapping[str, Any]) -> int | None:
    # Debezium confirms to the slot what it has recorded here, and never more.
    place = (entry["offset"] or {}).get("lsn_proc")
    return None if place is None else int(place)
