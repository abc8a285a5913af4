"""Kafka records in columns, as they were polled."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class RecordBatch:
    """Records of one topic, in the order in which they were polled.

    Several partitions may be interleaved. All four columns have one entry per record.
    """

    topic: str
    partitions: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]
    keys: list[bytes | None]
    values: list[bytes | None]

    def __len__(self) -> int:
        return len(self.values)

    def place(self, row: int) -> str:
        """Return a record's topic, partition and offset, for a message."""
        return f"{self.topic}/{self.partitions[row]} offset {self.offsets[row]}"

    def first(self, count: int) -> "RecordBatch":
        """Return the first `count` records."""
        return RecordBatch(
            self.topic, self.partitions[:count], self.offsets[:count], self.keys[:count], self.values[:count]
        )
