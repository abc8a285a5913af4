"""One generation in Redis, asked over one connection. Every script enters the database that holds it first."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from sinks.batch import Progress, Shard, Span
from sinks.errors import GenerationMissing
from sinks.generation import Record, readable
from sinks.ordering.fold import DOCUMENTS_PER_PAGE, fold, in_pages
from sinks.ordering.range_tombstone import Fence, FenceKind
from sinks.ordering.register import NOWHERE
from sinks.ordering.version_text import encode
from sinks.redis.connection import Link, Script
from sinks.redis.resp import Documents, Wire, documents, wire
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
_MOST_DOCUMENTS = 200
_LEAST_DOCUMENTS = 25
_MOST_BYTES = 512 * 1024


@dataclass
class Pace:
    """How many documents go into one call, so that it holds up other clients for about 5 ms.

    Larger calls than 200 documents are slower for each: their strings no longer fit the processor's cache.
    """

    documents: int = 100
    last_cost_s: float = _HELD_UP_S

    def took(self, documents: int, elapsed_s: float) -> None:
        """Learn from a call: how many documents, and how long the server was busy with them."""
        cost_s = max(elapsed_s, 1e-6) / documents
        # One slow call may be the machine's doing; two in a row are the documents'.
        affordable = int(_HELD_UP_S / min(cost_s, self.last_cost_s))
        self.documents = max(_LEAST_DOCUMENTS, min(affordable, 2 * self.documents, _MOST_DOCUMENTS))
        self.last_cost_s = cost_s


@dataclass(frozen=True)
class Generation:
    """A generation that was found, and cannot be mistaken for a later one of the same number.

    Args:
        marker: the text of its marker.
        progress, record: as they were when the generation was found.
        round_trip_s: how long a question takes that costs the server next to nothing.
    """

    link: Link
    marker: str
    progress: Progress
    record: Record
    round_trip_s: float

    def merge(self, shape: DocumentShape, changes: pa.Table, pace: Pace) -> list[str]:
        """Join changes into documents.

        Returns:
            The keys that hold something else than registers. Their documents were left alone.
        """
        rejected: list[str] = []
        for page in in_pages(fold(changes, shape.identity), DOCUMENTS_PER_PAGE):
            rejected += self._merge(shape, documents(shape.name, page), pace)
        return rejected

    def _merge(self, shape: DocumentShape, batch: Documents, pace: Pace) -> list[str]:
        rejected: list[str] = []
        first = 0
        while first < len(batch):
            end = batch.end_of_run(first, pace.documents, _MOST_BYTES)
            started = time.perf_counter()
            answer = self._call(
                MERGE,
                [wire(MARKER, FENCES), batch.keys_of(first, end)],
                [wire(self.marker, *_described(shape)), batch.changes_of(first, end)],
            )
            pace.took(end - first, time.perf_counter() - started - self.round_trip_s)
            rejected += [key.decode() for key in answer]
            first = end
        return rejected

    def raise_fence(self, fence: Fence) -> None:
        """Keep a fence: every register that is written from now on meets it."""
        unnamed = replace(fence, started_at={}).change(partition=0)
        named = [fence.change(partition) for partition in sorted({*fence.started_at, NOWHERE})]
        side = "s" if fence.kind is FenceKind.TRUNCATE else "r"
        deletions = "".join(side + encode(change) for change in (unnamed, *named))
        field = f"{fence.kind.value} {fence.scope}"
        self._call(RAISE_FENCE, [wire(MARKER, FENCES)], [wire(self.marker, field, deletions)])

    def join_fences(self, shape: DocumentShape) -> None:
        """Join the fences into the registers that are there."""
        self._scan(JOIN_FENCES, _registers_of(shape.name), *_described(shape))

    def move_progress(self, span: Span) -> None:
        """Move progress to the end of a span, never downward."""
        fields = [text for (topic, partition), end in span.end.items() for text in (f"{topic}/{partition}", end)]
        self._call(MOVE_PROGRESS, [wire(MARKER, PROGRESS)], [wire(self.marker, *fields)])

    def note(self, record: Record) -> None:
        """Replace what is kept of this generation."""
        self._call(REPLACE_RECORD, [wire(MARKER, RECORD)], [wire(self.marker, record.to_json())])

    def show(self) -> None:
        """Let readers see this generation."""
        self._call(SWAP, [wire(MARKER, RECORD)], [wire(self.marker)])

    def size_bytes(self) -> int:
        """About how many bytes it takes, by some of its keys."""
        return int(self._call(SIZE, [wire(MARKER)], [wire(self.marker, _KEYS_MEASURED)]))

    def empty_database(self) -> None:
        """Remove this generation at once, with everything in its database.

        Raises:
            GenerationMissing: it is the one that readers see.
        """
        self._call(FLUSH, [wire(MARKER)], [wire(self.marker)])

    def remove_keys(self, documents: Iterable[str]) -> None:
        """Remove this generation key by key, in pages that hold the server up for a moment only.

        Args:
            documents: the names of the documents that it may hold.
        """
        # Progress first and the marker last: what is half removed must not be taken for whole.
        self._forget(PROGRESS)
        for name in documents:
            self._scan(UNLINK, f"{name}:*")
            self._scan(UNLINK, _registers_of(name))
        self._forget(FENCES)
        self._forget(RECORD)
        self._forget(MARKER)

    def _forget(self, key: str) -> None:
        self._call(FORGET, [wire(MARKER, key)], [wire(self.marker)])

    def _scan(self, script: Script, pattern: str, *described: str) -> None:
        cursor = b"0"
        while True:
            arguments = wire(self.marker, *described, cursor, pattern)
            cursor = self._call(script, [wire(MARKER, FENCES)], [arguments])
            if cursor == b"0":
                return

    def _call(self, script: Script, keys: Sequence[Wire], arguments: Sequence[Wire]) -> Any:
        answer = self.link.call(script, keys, arguments)
        if answer is None:
            raise GenerationMissing(f"generation {self.marker.partition(' ')[0]} is not where it was in Redis")
        return answer


def find(link: Link, number: int) -> Generation:
    """Find a generation, in whichever database it is.

    Raises:
        GenerationMissing: no database holds it.
    """
    started = time.perf_counter()
    answer = link.call(OPEN, [wire(MARKER, PROGRESS, RECORD)], [wire(number)])
    if answer is None:
        raise GenerationMissing(f"generation {number} is not in Redis")
    marker, fields, record = answer
    offsets = {_shard(field): int(offset) for field, offset in zip(fields[::2], fields[1::2], strict=True)}
    elapsed_s = time.perf_counter() - started
    return Generation(link, marker.decode(), Progress(offsets), record_of(record), elapsed_s)


def record_of(text: bytes) -> Record:
    """A record as the scripts answer it. Every generation is created with one: where it is gone, it was lost."""
    return readable(text)


def _described(shape: DocumentShape) -> tuple[str, str]:
    return shape.name, "/".join(shape.collections)


def _registers_of(document: str) -> str:
    return f"{{{document}:*}}:r"


def _shard(field: bytes) -> Shard:
    topic, _, partition = field.decode().rpartition("/")
    return topic, int(partition)
