"""Batches that sinks write: row changes, range tombstones, and the offsets that they cover."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from sinks.errors import OffsetGap
from sinks.ordering.columns import ORDER_COLUMNS
from sinks.ordering.fold import compact
from sinks.ordering.range_tombstone import RangeTombstone
from sinks.shape import DocumentShape

TopicPartition = tuple[str, int]
"""A topic and one of its partitions."""

Offsets = Mapping[TopicPartition, int]
"""An offset of each topic partition."""

OffsetRows = Sequence[Sequence[Any]]
"""Offsets in JSON form: rows of topic, partition and offset."""

PART_COLUMNS = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),
        pa.field("part", pa.string(), nullable=False),
        pa.field("image", pa.string()),
    ]
)
"""Columns of a document change: the document key, the part, and the image of the part as a JSON object."""


HISTORY_COLUMNS = pa.schema([pa.field("_op", pa.string()), pa.field("_committed_at", pa.timestamp("us", tz="UTC"))])
"""Columns that a row's history adds to a change: Debezium's `op`, and the commit time in the source."""

SPECIAL_COLUMNS = "_special"
"""Optional column of row changes: a JSON object, by column, of the values that no column can store; or null."""


@dataclass(frozen=True)
class Mutations:
    """Changes of one target in log order.

    Args:
        target: a table of a row model, or a document of a document model.
        changes: `sinks.ordering.columns.ORDER_COLUMNS` and either `PART_COLUMNS` or, for rows, `HISTORY_COLUMNS` and
            the columns of the table. A deletion fills only the key. `SPECIAL_COLUMNS` is present if a column is an
            array.
        is_folded: true if at most one change per register and side remains.
    """

    target: str
    changes: pa.Table
    is_folded: bool = False

    def fold(self, identity: Sequence[str]) -> Mutations:
        """Keep the highest change of every register and side; see `sinks.ordering.fold.compact`.

        Args:
            identity: the columns that identify a register (`register_key` of the shape).
        """
        if self.is_folded:
            return self
        return Mutations(self.target, compact(self.changes, identity).combine_chunks(), is_folded=True)


def merge_mutations(mutations: Iterable[Mutations]) -> tuple[Mutations, ...]:
    """Merge mutations into one per target, with the changes in the given order."""
    by_target: dict[str, list[Mutations]] = {}
    for one in mutations:
        by_target.setdefault(one.target, []).append(one)
    return tuple(
        Mutations(target, pa.concat_tables(one.changes for one in some)) if len(some) > 1 else some[0]
        for target, some in by_target.items()
    )


@dataclass(frozen=True)
class OffsetRange:
    """Offset range that a batch covers: per topic partition its first offset, and the offset after its last."""

    begin: Mapping[TopicPartition, int]
    end: Mapping[TopicPartition, int]


@dataclass(frozen=True)
class Batch:
    """Mutations and range tombstones, which are the whole content of the offset range `span`."""

    mutations: tuple[Mutations, ...] = ()
    range_tombstones: tuple[RangeTombstone, ...] = ()
    span: OffsetRange = field(default_factory=lambda: OffsetRange({}, {}))

    def folded_parts(self, shape: DocumentShape) -> pa.Table:
        """Return the folded changes of all parts of a document as one table, so that they are written together."""
        parts = pa.schema([*ORDER_COLUMNS, *PART_COLUMNS])
        found = merge_mutations(one for one in self.mutations if one.target == shape.target)
        return found[0].fold(shape.register_key).changes.select(parts.names) if found else parts.empty_table()


@dataclass(frozen=True)
class Progress:
    """Progress of a generation: the next offset to apply, per topic partition. A missing topic partition is at zero."""

    offsets: Mapping[TopicPartition, int] = field(default_factory=dict)

    def next_offset(self, topic_partition: TopicPartition) -> int:
        """Return the next offset of one topic partition."""
        return self.offsets.get(topic_partition, 0)

    def lag(self, ends: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        """Return the number of missing offsets of every topic partition that has not reached its end."""
        return {
            topic_partition: end - self.next_offset(topic_partition)
            for topic_partition, end in ends.items()
            if self.next_offset(topic_partition) < end
        }

    def below(self, offsets: Offsets) -> dict[TopicPartition, int]:
        """Return the next offset of every topic partition that has not reached its given offset."""
        return {topic_partition: self.next_offset(topic_partition) for topic_partition in self.lag(offsets)}

    def require_contiguous(self, span: OffsetRange) -> None:
        """Reject a span that begins after this progress, because the offsets between them would be lost.

        Raises:
            OffsetGap: the span begins after the stored offset of a topic partition.
        """
        if lost := self.below(span.begin):
            raise OffsetGap(lost)

    def advance(self, end: Mapping[TopicPartition, int]) -> Progress:
        """Return the maximum per topic partition. It never decreases, because another worker may have advanced it."""
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
