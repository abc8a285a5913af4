"""What a sink is asked to do: join changes and fences, and remember how far the log has been taken in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from sinks.errors import OffsetGap
from sinks.ordering.range_tombstone import RangeTombstone

TopicPartition = tuple[str, int]
"""A topic and one of its partitions."""

OffsetRows = Sequence[Sequence[Any]]
"""Offsets as JSON holds them: rows of topic, partition and offset."""

ORDER_COLUMNS = pa.schema(
    [
        pa.field("_epoch", pa.int32(), nullable=False),
        pa.field("_is_snapshot", pa.bool_(), nullable=False),
        pa.field("_commit_lsn", pa.int64(), nullable=False),
        pa.field("_lsn", pa.int64(), nullable=False),
        pa.field("_tie", pa.int8(), nullable=False),
        pa.field("_offset", pa.int64(), nullable=False),
        pa.field("_partition", pa.int32(), nullable=False),
        pa.field("_deleted", pa.bool_(), nullable=False),
    ]
)
"""The columns that place a change in the order of its row: those of `sinks.ordering.register.Change`, and its side.

The underscore keeps them apart from a source's own columns, of which a soft `deleted` is common.
"""

PART_COLUMNS = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),
        pa.field("part", pa.string(), nullable=False),
        pa.field("image", pa.string()),
    ]
)
"""The columns of a change to a document: its key, the part of it, and the part's image as a JSON object."""


HISTORY_COLUMNS = pa.schema([pa.field("_op", pa.string()), pa.field("_committed_at", pa.timestamp("us", tz="UTC"))])
"""What a row's history says of a change: Debezium's `op`, and when the source committed it."""

SPECIAL_COLUMNS = "_special"
"""A column that rows may have: a JSON object of the values that no column of the row can hold, by column, or null."""


@dataclass(frozen=True)
class Mutations:
    """Changes of one target in the order of the log, not yet folded.

    Args:
        target: a table of a row model, or a document of a document model.
        changes: the columns of PLACE, and either those of PART or, for rows, those of FACTS and the columns of the
            table, of which a deletion fills only the key, and SPECIAL where one of these is an array.
    """

    target: str
    changes: pa.Table


@dataclass(frozen=True)
class OffsetRange:
    """The part of the log that a batch covers: per shard its first offset, and the next offset after it."""

    begin: Mapping[TopicPartition, int]
    end: Mapping[TopicPartition, int]


@dataclass(frozen=True)
class Batch:
    """Mutations and fences, and the span of the log that they are the whole content of."""

    mutations: tuple[Mutations, ...] = ()
    range_tombstones: tuple[RangeTombstone, ...] = ()
    span: OffsetRange = field(default_factory=lambda: OffsetRange({}, {}))

    def part_changes(self, document: str) -> pa.Table:
        """The changes of all parts of a document as one table: what was changed together is written together."""
        parts = pa.schema([*ORDER_COLUMNS, *PART_COLUMNS])
        found = [one.changes.select(parts.names) for one in self.mutations if one.target == document]
        return pa.concat_tables(found) if found else parts.empty_table()


@dataclass(frozen=True)
class Progress:
    """The next offset of every shard that a generation has not yet taken in; zero where it has taken in nothing."""

    offsets: Mapping[TopicPartition, int] = field(default_factory=dict)

    def next_offset(self, topic_partition: TopicPartition) -> int:
        """The next offset of one shard."""
        return self.offsets.get(topic_partition, 0)

    def lag(self, ends: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        """Return how many offsets are missing up to these ends, for every shard that has not reached its end."""
        return {
            topic_partition: end - self.next_offset(topic_partition)
            for topic_partition, end in ends.items()
            if self.next_offset(topic_partition) < end
        }

    def require_contiguous(self, span: OffsetRange) -> None:
        """Refuse a span that begins beyond this progress: what lies between would be lost.

        Raises:
            OffsetGap: a shard of the span begins beyond the stored offset.
        """
        lost = {
            topic_partition: self.next_offset(topic_partition)
            for topic_partition, begin in span.begin.items()
            if begin > self.next_offset(topic_partition)
        }
        if lost:
            raise OffsetGap(lost)

    def advance(self, end: Mapping[TopicPartition, int]) -> Progress:
        """Merge per shard, never downward: another worker may be further."""
        return Progress(
            {
                **self.offsets,
                **{
                    topic_partition: max(self.next_offset(topic_partition), offset)
                    for topic_partition, offset in end.items()
                },
            }
        )


def offsets_to_json(offsets: Mapping[TopicPartition, int]) -> OffsetRows:
    """Return offsets as rows of topic, partition and offset."""
    return [[*topic_partition, offset] for topic_partition, offset in offsets.items()]


def offsets_from_json(rows: OffsetRows) -> dict[TopicPartition, int]:
    """Read the offsets that `offsets_to_json` wrote."""
    return {(topic, partition): offset for topic, partition, offset in rows}
