"""What a comparison needs of a read model: how far it has got, what its readers see, and a way to put it right."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import pyarrow as pa

from pipeline.verify.comparison_set import ComparisonSet
from sinks.batch import TopicPartition
from sinks.sink import Sink


class ModelReader(Protocol):
    """One generation of one read model, asked as its readers ask, or as they would ask if it were live."""

    @property
    def subjects(self) -> tuple[ComparisonSet, ...]:
        """What it shows."""

    def sink(self) -> Sink:
        """What writes the generation.

        Raises:
            GenerationMissing: none is live.
        """

    def progress(self) -> Mapping[TopicPartition, int]:
        """The next offset of every partition, by the store's own word.

        Raises:
            SinkError: the store does not answer, or has no live generation.
        """

    def scan(self, subject: ComparisonSet) -> Iterator[pa.Table]:
        """Everything that readers find of a subject, in any order, as tables of key, and of text or its md5 digest.

        A digest is made of what is read, by whatever reads it; the store keeps none.
        """

    def lookup(self, subject: ComparisonSet, keys: Sequence[str]) -> dict[str, str]:
        """The texts under these keys; what readers do not find is left out."""

    def rejected(self, subject: ComparisonSet, keys: Sequence[str]) -> Mapping[str, str]:
        """Why the store refused the documents under these keys; those that it did not refuse are left out."""


def page(keys: Sequence[str], texts: Sequence[str]) -> pa.Table:
    """A page of `ModelReader.scan`."""
    return pa.table({"key": pa.array(keys, pa.string()), "text": pa.array(texts, pa.string())})
