"""Optimistic writes of many documents in one request: each says which version of its document it replaces."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import msgspec

from sinks.elasticsearch_client import Cluster, Reason, failure
from sinks.elasticsearch_memory import Stored
from sinks.errors import SinkError

_REQUEST_BYTES = 8 * 2**20
_REQUEST_WRITES = 2000
"""Large enough to keep the cluster busy, and far below the 100 MB that it takes in one request."""

_UNDER_WAY = 3
"""Requests that may wait for their answers while the next one is made: a shard serves each on one core."""

_ANSWER = "items.*._seq_no,items.*._primary_term,items.*.status,items.*.error"
_CONFLICT = 409
_REFUSED = frozenset({400, 413})


@dataclass(frozen=True)
class Write:
    """The new source of one document.

    Args:
        replaces: the version that the source was made from, or None where there was no document.
    """

    id: str
    source: bytes
    replaces: Stored | None

    def line(self) -> bytes:
        """The two lines of a bulk request."""
        return self._action() + self.source + b"\n"

    def _action(self) -> bytes:
        id_ = msgspec.json.encode(self.id)
        if self.replaces is None:
            return b'{"create":{"_id":%b}}\n' % id_
        place = (id_, self.replaces.seq_no, self.replaces.primary_term)
        return b'{"index":{"_id":%b,"if_seq_no":%d,"if_primary_term":%d}}\n' % place


@dataclass(frozen=True)
class Refusal:
    """A write that was not carried out, and why."""

    write: Write
    status: int
    reason: Reason

    def error(self, alias: str) -> SinkError:
        """The sink's own error for it."""
        return failure(self.status, self.reason, f"{alias}, document {self.write.id!r}")


@dataclass
class Outcomes:
    """What became of the writes of one bulk request.

    Args:
        done: what is now stored, by id.
        conflicts: writes whose document somebody has changed meanwhile.
        refused: writes that will never be accepted as they are.
        failed: writes that the cluster could not serve now, or that found no index.
    """

    done: dict[str, Stored] = field(default_factory=dict)
    conflicts: list[Write] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    failed: list[Refusal] = field(default_factory=list)


class _Item(msgspec.Struct, rename={"seq_no": "_seq_no", "primary_term": "_primary_term"}):
    status: int
    seq_no: int = 0
    primary_term: int = 0
    error: Reason | None = None


class _Answer(msgspec.Struct):
    items: list[dict[str, _Item]] = []


def send(cluster: Cluster, alias: str, writes: Iterable[Write]) -> Outcomes:
    """Send writes in as many bulk requests as their size asks for, and sort the answers.

    While some requests are on their way, the writes of the next are made. No two may be of one document.

    Args:
        alias: a write alias. An index of that name would be made by the cluster where it is missing; an alias is not.

    Raises:
        StoreUnavailable: no answer came to a request; its writes may have been carried out all the same.
    """
    outcomes = Outcomes()
    with ThreadPoolExecutor(max_workers=_UNDER_WAY) as wire:
        under_way: deque[tuple[list[Write], Future[_Answer]]] = deque()
        for some in _requests(writes):
            under_way.append((some, wire.submit(_ask, cluster, alias, b"".join([write.line() for write in some]))))
            if len(under_way) > _UNDER_WAY:
                _sort(*under_way.popleft(), outcomes)
        for some, answer in under_way:
            _sort(some, answer, outcomes)
    return outcomes


def _requests(writes: Iterable[Write]) -> Iterator[list[Write]]:
    some: list[Write] = []
    size_bytes = 0
    for write in writes:
        if some and (len(some) == _REQUEST_WRITES or size_bytes + len(write.source) > _REQUEST_BYTES):
            yield some
            some, size_bytes = [], 0
        some.append(write)
        size_bytes += len(write.source)
    if some:
        yield some


def _ask(cluster: Cluster, alias: str, body: bytes) -> _Answer:
    params = {"require_alias": "true", "filter_path": _ANSWER}
    return cluster.ask("POST", f"/{alias}/_bulk", _Answer, body, params)


def _sort(writes: list[Write], answer: Future[_Answer], outcomes: Outcomes) -> None:
    for write, named in zip(writes, answer.result().items, strict=True):
        item = next(iter(named.values()))
        if item.status < 300:
            outcomes.done[write.id] = Stored(write.source, item.seq_no, item.primary_term)
            continue
        refusal = Refusal(write, item.status, item.error or Reason("no reason given"))
        if item.status == _CONFLICT:
            outcomes.conflicts.append(write)
        elif item.status in _REFUSED and not refusal.reason.is_of_index:
            outcomes.refused.append(refusal)
        else:
            outcomes.failed.append(refusal)
