"""What an index keeps beside its documents: how far the log is taken in, and the fences over its documents.

Both are documents of that same index, which the readers' alias does not show, so that whatever is lost or restored
goes back together.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from sinks.batch import Progress, Shard
from sinks.elasticsearch.codec import RESERVED
from sinks.elasticsearch.mapping import OURS
from sinks.ordering.range_tombstone import Fence, Fences

PROGRESS = "progress"
SHARDS = "shards"
FENCES = "fences"
"""The kinds of these documents."""

FENCES_ID = f"{RESERVED}{FENCES}"
SHARDS_ID = f"{RESERVED}{SHARDS}"


class _Offset(msgspec.Struct):
    topic: str
    partition: int
    offset: int


class _Entry(msgspec.Struct, omit_defaults=True):
    kind: str
    progress: _Offset | None = None
    shards: list[tuple[str, int]] = []
    fences: list[dict[str, Any]] = []
    applied: list[dict[str, Any]] = []


_entries = msgspec.json.Decoder(dict[str, _Entry])


@dataclass(frozen=True)
class FenceLedger:
    """The fences of an index: all that were declared, and those that every document is known to have met."""

    declared: Fences = field(default_factory=Fences)
    applied: Fences = field(default_factory=Fences)

    def to_source(self) -> bytes:
        """Write the document."""
        declared, applied = ([fence.to_json() for fence in fences] for fences in (self.declared, self.applied))
        return _source(_Entry(FENCES, fences=declared, applied=applied))

    @classmethod
    def from_source(cls, source: bytes | None) -> FenceLedger:
        """Read what `to_source` wrote; None is an index without fences."""
        if source is None:
            return cls()
        entry = _entries.decode(source)[OURS]
        return cls(_fences(entry.fences), _fences(entry.applied))


def progress_id(shard: Shard) -> str:
    """The id of the document that holds the progress of one shard."""
    topic, partition = shard
    return f"{RESERVED}{PROGRESS}:{topic}:{partition}"


def progress_source(shard: Shard, offset: int) -> bytes:
    """The document that holds the progress of one shard."""
    return _source(_Entry(PROGRESS, progress=_Offset(*shard, offset)))


def shards_source(shards: Iterable[Shard]) -> bytes:
    """The document that names the shards of which there is progress: found by its id, where a search would lag."""
    return _source(_Entry(SHARDS, shards=sorted(shards)))


def shards_of(source: bytes | None) -> set[Shard]:
    """Read what `shards_source` wrote; None is an index that was given nothing yet."""
    return set() if source is None else set(_entries.decode(source)[OURS].shards)


def progress_of(sources: list[bytes]) -> Progress:
    """Read what `progress_source` wrote, for any number of shards."""
    offsets = [_entries.decode(source)[OURS].progress for source in sources]
    return Progress({(one.topic, one.partition): one.offset for one in offsets if one is not None})


def _fences(texts: list[dict[str, Any]]) -> Fences:
    return Fences().joined(map(Fence.from_json, texts))


def _source(entry: _Entry) -> bytes:
    return msgspec.json.encode({OURS: entry})
