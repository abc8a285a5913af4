"""One generation in Redis, over one connection. Every script first selects the generation's database."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from sinks.batch import OffsetRange, Progress, TopicPartition
from sinks.errors import GenerationMissing
from sinks.generation import GenerationMetadata, readable
from sinks.ordering.fold import DOCUMENTS_PER_PAGE, document_pages
from sinks.ordering.range_tombstone import RangeTombstone, TombstoneKind
from sinks.ordering.register import NO_PARTITION
from sinks.ordering.version_text import encode_version
from sinks.redis.connection import Script, Session
from sinks.redis.resp import EncodedArgs, EncodedDocuments, encode_args, encode_documents
from sinks.shape import DocumentShape

MARKER = "readmodels:generation"
RECORD = "readmodels:record"
PROGRESS = "readmodels:progress"
FENCES = "readmodels:fences"

OPEN = Script(("databases", "open"))
MERGE = Script(("register", "fence", "document", "databases", "merge"))
JOIN_FENCES = Script(("register", "fence", "document", "databases", "join_fences"))
RAISE_FENCE = Script(("register", "databases", "raise_fence"))
MOVE_PROGRESS = Script(("databases", "progress"))
REPLACE_RECORD = Script(("databases", "record"))
SWAP = Script(("databases", "swap"))
SIZE = Script(("databases", "size"))
FLUSH = Script(("databases", "flush"))
UNLINK = Script(("databases", "unlink"))
FORGET = Script(("databases", "forget"))

_KEYS_MEASURED = 100
_HELD_UP_S = 0.005
_MAX_DOCUMENTS = 200
_MIN_DOCUMENTS = 25
_MAX_BYTES = 512 * 1024


@dataclass
class AdaptiveBatchSize:
    """Number of documents per call, so that a call blocks other clients for about 5 ms.

    Calls of more than 200 documents cost more per document, because their strings exceed the processor's cache.
    """

    documents: int = 100
    last_cost_s: float = _HELD_UP_S

    def record(self, documents: int, elapsed_s: float) -> None:
        """Adjust the number after a call of `documents` that kept the server busy for `elapsed_s`."""
        cost_s = max(elapsed_s, 1e-6) / documents
        # One slow call may be caused by the machine; two in a row are caused by the documents.
        affordable = int(_HELD_UP_S / min(cost_s, self.last_cost_s))
        self.documents = max(_MIN_DOCUMENTS, min(affordable, 2 * self.documents, _MAX_DOCUMENTS))
        self.last_cost_s = cost_s


@dataclass(frozen=True)
class RedisGeneration:
    """Generation that was located, and cannot be confused with a later one of the same number.

    Args:
        marker: the text of its marker.
        progress, record: as they were when the generation was located.
        round_trip_s: the time of a call that costs the server almost nothing.
    """

    link: Session
    marker: str
    progress: Progress
    record: GenerationMetadata
    round_trip_s: float

    def merge(self, shape: DocumentShape, folded: pa.Table, pace: AdaptiveBatchSize) -> list[str]:
        """Merge folded changes into documents.

        Returns:
            The keys with a value other than registers. Their documents were not changed.
        """
        rejected: list[str] = []
        for page in document_pages(folded, DOCUMENTS_PER_PAGE):
            rejected += self._merge(shape, encode_documents(shape.prefix, page), pace)
        return rejected

    def _merge(self, shape: DocumentShape, batch: EncodedDocuments, pace: AdaptiveBatchSize) -> list[str]:
        rejected: list[str] = []
        first = 0
        while first < len(batch):
            end = batch.chunk_end(first, pace.documents, _MAX_BYTES)
            started = time.perf_counter()
            answer = self._call(
                MERGE,
                [encode_args(MARKER, FENCES), batch.keys_of(first, end)],
                [encode_args(self.marker, *_described(shape)), batch.changes_of(first, end)],
            )
            pace.record(end - first, time.perf_counter() - started - self.round_trip_s)
            rejected += [key.decode() for key in answer]
            first = end
        return rejected

    def store_tombstone(self, range_tombstone: RangeTombstone) -> None:
        """Store a range tombstone. It applies to every register that is written from now on."""
        unnamed = replace(range_tombstone, started_at={}).to_deletion(partition=0)
        named = [
            range_tombstone.to_deletion(partition) for partition in sorted({*range_tombstone.started_at, NO_PARTITION})
        ]
        side = "s" if range_tombstone.kind is TombstoneKind.TRUNCATE else "r"
        deletions = "".join(side + encode_version(change) for change in (unnamed, *named))
        field = f"{range_tombstone.kind.value} {range_tombstone.scope}"
        self._call(RAISE_FENCE, [encode_args(MARKER, FENCES)], [encode_args(self.marker, field, deletions)])

    def apply_tombstones(self, shape: DocumentShape) -> None:
        """Apply the range tombstones to the existing registers."""
        self._scan(JOIN_FENCES, _registers_of(shape.prefix), *_described(shape))

    def move_progress(self, span: OffsetRange) -> None:
        """Advance progress to the end of a span. It never decreases."""
        fields = [text for (topic, partition), end in span.end.items() for text in (f"{topic}/{partition}", end)]
        self._call(MOVE_PROGRESS, [encode_args(MARKER, PROGRESS)], [encode_args(self.marker, *fields)])

    def record_metadata(self, record: GenerationMetadata) -> None:
        """Replace the metadata of this generation."""
        self._call(REPLACE_RECORD, [encode_args(MARKER, RECORD)], [encode_args(self.marker, record.to_json())])

    def swap_live(self) -> None:
        """Make this generation live."""
        self._call(SWAP, [encode_args(MARKER, RECORD)], [encode_args(self.marker)])

    def size_bytes(self) -> int:
        """Estimate the size of this generation from some of its keys."""
        return int(self._call(SIZE, [encode_args(MARKER)], [encode_args(self.marker, _KEYS_MEASURED)]))

    def flush_database(self) -> None:
        """Remove this generation at once, with everything in its database.

        Raises:
            GenerationMissing: it is live.
        """
        self._call(FLUSH, [encode_args(MARKER)], [encode_args(self.marker)])

    def remove_keys(self, prefixes: Iterable[str]) -> None:
        """Remove this generation key by key, in pages that block the server only briefly.

        Args:
            prefixes: the prefixes of the keys that it may have.
        """
        # Progress is removed first and the marker last: a partly removed generation must not look complete.
        self._forget(PROGRESS)
        for prefix in prefixes:
            self._scan(UNLINK, f"{prefix}*")
            self._scan(UNLINK, _registers_of(prefix))
        self._forget(FENCES)
        self._forget(RECORD)
        self._forget(MARKER)

    def _forget(self, key: str) -> None:
        self._call(FORGET, [encode_args(MARKER, key)], [encode_args(self.marker)])

    def _scan(self, script: Script, pattern: str, *described: str) -> None:
        cursor = b"0"
        while True:
            arguments = encode_args(self.marker, *described, cursor, pattern)
            cursor = self._call(script, [encode_args(MARKER, FENCES)], [arguments])
            if cursor == b"0":
                return

    def _call(self, script: Script, keys: Sequence[EncodedArgs], arguments: Sequence[EncodedArgs]) -> Any:
        answer = self.link.call(script, keys, arguments)
        if answer is None:
            raise GenerationMissing(f"generation {self.marker.partition(' ')[0]} was moved in Redis")
        return answer


def locate(link: Session, number: int) -> RedisGeneration:
    """Find a generation in any database.

    Raises:
        GenerationMissing: no database has it.
    """
    started = time.perf_counter()
    answer = link.call(OPEN, [encode_args(MARKER, PROGRESS, RECORD)], [encode_args(number)])
    if answer is None:
        raise GenerationMissing(f"generation {number} is not in Redis")
    marker, fields, record = answer
    offsets = {_shard(field): int(offset) for field, offset in zip(fields[::2], fields[1::2], strict=True)}
    elapsed_s = time.perf_counter() - started
    return RedisGeneration(link, marker.decode(), Progress(offsets), record_of(record), elapsed_s)


def record_of(text: bytes) -> GenerationMetadata:
    """Decode metadata from a script's answer. Every generation is created with metadata, so none means a loss."""
    return readable(text)


def _described(shape: DocumentShape) -> tuple[str, str]:
    return shape.name, "/".join(shape.collections)


def _registers_of(prefix: str) -> str:
    return f"{{{prefix}*}}:r"


def _shard(field: bytes) -> TopicPartition:
    topic, _, partition = field.decode().rpartition("/")
    return topic, int(partition)
