"""Reader of one read model: its progress, the rows that its readers see, and the sink that repairs it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import pyarrow as pa

from pipeline.verify.comparison_set import ComparisonSet
from sinks.batch import TopicPartition
from sinks.sink import Sink


class ModelReader(Protocol):
    """One generation of one read model, read as its readers do, or as they would if it were live."""

    @property
    def subjects(self) -> tuple[ComparisonSet, ...]:
        """Comparison sets of the model."""

    def sink(self) -> Sink:
        """Return the sink of the generation.

        Raises:
            GenerationMissing: no generation is live.
        """

    def progress(self) -> Mapping[TopicPartition, int]:
        """Return the next offset of every partition, as recorded in the store.

        Raises:
            SinkError: the store does not answer, or has no live generation.
        """

    def scan(self, subject: ComparisonSet) -> Iterator[pa.Table]:
        """Yield all documents or rows of a set in any order, as tables of key and of text or its md5 digest.

        The digest is computed from the data read; the store keeps none.
        """

    def lookup(self, subject: ComparisonSet, keys: Sequence[str]) -> dict[str, str]:
        """Return the texts under these keys, without those that readers do not find."""

    def rejected(self, subject: ComparisonSet, keys: Sequence[str]) -> Mapping[str, str]:
        """Return the store's reason for each of these keys whose document it rejected."""


def page(keys: Sequence[str], texts: Sequence[str]) -> pa.Table:
    """Return a page of `ModelReader.scan`."""
    return pa.table({"key": pa.array(keys, pa.string()), "text": pa.array(texts, pa.string())})
