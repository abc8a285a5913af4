"""Bulk writes with optimistic concurrency: each write names the version of the document that it replaces."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import msgspec

from sinks.elasticsearch.client import TOO_LONG, ErrorCause, EsClient, to_sink_error
from sinks.elasticsearch.document_cache import VersionedSource
from sinks.errors import SinkError

_REQUEST_BYTES = 8 * 2**20
_REQUEST_WRITES = 2000
"""Large enough to keep the cluster busy, and far below its limit of 100 MB per request."""

_MAX_IN_FLIGHT = 3
"""Requests in flight while the next one is built. A shard handles each request on one core."""

_ATTEMPTS_ALONE = 3
_PAUSE_ALONE_S = 0.5
"""Attempts, and the pause between them, for a write that is sent alone, if the cluster reports no sizes."""

_ANSWER = "items.*._seq_no,items.*._primary_term,items.*.status,items.*.error"
_CONFLICT = 409
_TOO_LONG = 413
_TOO_MANY = 429
_REFUSED = frozenset({400, _TOO_LONG})
_PROBE = b'{"delete":{"_id":"readmodels:probe"}}\n'
"""Smallest possible write: the deletion of a document that never exists."""


@dataclass(frozen=True)
class BulkWrite:
    """New source of one document.

    Args:
        replaces: the version that the source was built from, or None if there was no document.
    """

    id: str
    source: bytes
    replaces: VersionedSource | None

    def to_ndjson(self) -> bytes:
        """Return the two lines of a bulk request."""
        return self._action() + self.source + b"\n"

    def _action(self) -> bytes:
        id_ = msgspec.json.encode(self.id)
        if self.replaces is None:
            return b'{"create":{"_id":%b}}\n' % id_
        place = (id_, self.replaces.seq_no, self.replaces.primary_term)
        return b'{"index":{"_id":%b,"if_seq_no":%d,"if_primary_term":%d}}\n' % place


class _Item(msgspec.Struct, rename={"seq_no": "_seq_no", "primary_term": "_primary_term"}):
    status: int
    seq_no: int = 0
    primary_term: int = 0
    error: ErrorCause | None = None


@dataclass(frozen=True)
class BulkFailure:
    """A write that failed, with the reason."""

    write: BulkWrite
    status: int
    reason: ErrorCause

    @property
    def is_of_write(self) -> bool:
        """True if the write itself is rejected, so that a retry would be rejected as well."""
        if self.status == _TOO_MANY:
            return self.reason.is_of_memory and self.reason.can_ever_fit is False
        return self.status in _REFUSED and not self.reason.is_missing_index

    @property
    def is_of_size(self) -> bool:
        """True if another source of about the same length would be rejected as well."""
        return self.status in (_TOO_LONG, _TOO_MANY)

    def error(self, alias: str) -> SinkError:
        """Return the sink error for this failure."""
        return to_sink_error(self.status, self.reason, f"{alias}, document {self.write.id!r}")


@dataclass
class BulkResult:
    """Result of bulk writes.

    Args:
        done: the stored documents, by id.
        conflicts: writes whose document another writer has changed in the meantime.
        refused: writes that will never be accepted as they are.
        failed: writes that the cluster could not serve now, or that found no index.
    """

    done: dict[str, VersionedSource] = field(default_factory=dict)
    conflicts: list[BulkWrite] = field(default_factory=list)
    refused: list[BulkFailure] = field(default_factory=list)
    failed: list[BulkFailure] = field(default_factory=list)

    def add(self, write: BulkWrite, item: _Item) -> None:
        """Add the answer to one write."""
        if item.status < 300:
            self.done[write.id] = VersionedSource(write.source, item.seq_no, item.primary_term)
            return
        refusal = _refusal(write, item)
        if item.status == _CONFLICT:
            self.conflicts.append(write)
        elif refusal.is_of_write:
            self.refused.append(refusal)
        else:
            self.failed.append(refusal)


class _Answer(msgspec.Struct):
    items: list[dict[str, _Item]] = []


def bulk_write(cluster: EsClient, alias: str, writes: Iterable[BulkWrite]) -> BulkResult:
    """Send writes in bulk requests of limited size, and sort the answers.

    The next requests are built while earlier ones are in flight. No two writes may have the same document. Writes for
    which the cluster has no memory are sent again with no other request in flight. If such a write is rejected alone,
    while the cluster accepts others, the write itself is the reason.

    Args:
        alias: a write alias. Elasticsearch would create a missing index of that name, but never an alias.

    Raises:
        StoreUnavailable: a request got no answer; its writes may have been applied.
    """
    outcomes = BulkResult()
    unfit: list[list[BulkWrite]] = []
    with ThreadPoolExecutor(max_workers=_MAX_IN_FLIGHT) as wire:
        under_way: deque[tuple[list[BulkWrite], Future[_Answer | ErrorCause]]] = deque()
        for request in _requests(writes):
            under_way.append((request, wire.submit(_ask, cluster, alias, request)))
            if len(under_way) > _MAX_IN_FLIGHT:
                some, answer = under_way.popleft()
                unfit += _sort(some, answer.result(), outcomes)
        for some, answer in under_way:
            unfit += _sort(some, answer.result(), outcomes)
    for some in unfit:
        _send_apart(cluster, alias, some, outcomes)
    return outcomes


def _requests(writes: Iterable[BulkWrite]) -> Iterator[list[BulkWrite]]:
    some: list[BulkWrite] = []
    size_bytes = 0
    for write in writes:
        if some and (len(some) == _REQUEST_WRITES or size_bytes + len(write.source) > _REQUEST_BYTES):
            yield some
            some, size_bytes = [], 0
        some.append(write)
        size_bytes += len(write.source)
    if some:
        yield some


def _ask(cluster: EsClient, alias: str, writes: Sequence[BulkWrite]) -> _Answer | ErrorCause:
    """Send one request. The result is an `ErrorCause` if the cluster rejected all of it for size or lack of memory."""
    return _sent(cluster, alias, b"".join([write.to_ndjson() for write in writes]))


def _sent(cluster: EsClient, alias: str, body: bytes) -> _Answer | ErrorCause:
    if len(body) > 2 * _REQUEST_BYTES and len(body) > cluster.max_request_bytes:
        return ErrorCause(TOO_LONG)
    path, params = f"/{alias}/_bulk", {"require_alias": "true", "filter_path": _ANSWER}
    answer = cluster.request_raw("POST", path, body, params)
    if answer.status == _TOO_LONG:
        return ErrorCause(TOO_LONG)
    if answer.status == _TOO_MANY and answer.cause.is_of_memory:
        return answer.cause
    if answer.status >= 300:
        raise to_sink_error(answer.status, answer.cause, f"POST {path}")
    return answer.read(_Answer, f"POST {path}")


def _sort(writes: list[BulkWrite], answered: _Answer | ErrorCause, outcomes: BulkResult) -> list[list[BulkWrite]]:
    """Sort the answer to a request, and return the writes to send again with no other request in flight."""
    if isinstance(answered, ErrorCause) and len(writes) > 1:
        return _halves(writes) if answered.can_ever_fit is False else [writes]
    apart = []
    for write, item in _items(writes, answered):
        if _can_fit(item) is not False:
            apart.append([write])
        else:
            outcomes.add(write, item)
    return apart


def _halves(writes: list[BulkWrite]) -> list[list[BulkWrite]]:
    half = len(writes) // 2
    return [writes[:half], writes[half:]]


def _items(writes: Sequence[BulkWrite], answered: _Answer | ErrorCause) -> list[tuple[BulkWrite, _Item]]:
    if isinstance(answered, ErrorCause):
        status = _TOO_LONG if answered.type == TOO_LONG else _TOO_MANY
        return [(write, _Item(status, error=answered)) for write in writes]
    return [(write, next(iter(named.values()))) for write, named in zip(writes, answered.items, strict=True)]


def _can_fit(item: _Item) -> bool | None:
    """Return whether a write that lacked memory may fit at another time; None if the cluster does not say.

    False is a write that succeeded, was rejected for another reason, or can never fit.
    """
    if item.error is None or not item.error.is_of_memory:
        return False
    return item.error.can_ever_fit


def _send_apart(cluster: EsClient, alias: str, writes: list[BulkWrite], outcomes: BulkResult) -> None:
    """Send writes that lacked memory in ever smaller parts, until each single write is accepted or rejected."""
    if outcomes.failed:
        # The cluster lacks memory for other writes too. The batch is retried, and these writes are built again.
        return
    answered = _ask(cluster, alias, writes)
    if len(writes) == 1:
        _settle_alone(cluster, alias, writes, answered, outcomes)
        return
    parts = _halves(writes) if isinstance(answered, ErrorCause) else _sort(writes, answered, outcomes)
    for part in parts:
        _send_apart(cluster, alias, part, outcomes)


def _settle_alone(
    cluster: EsClient, alias: str, alone: list[BulkWrite], answered: _Answer | ErrorCause, outcomes: BulkResult
) -> None:
    """Determine whether a single write is rejected for itself, or for the current load of the cluster."""
    for attempt in range(1, _ATTEMPTS_ALONE + 1):
        [(write, item)] = _items(alone, answered)
        can_fit = _can_fit(item)
        if can_fit is False:
            outcomes.add(write, item)
            return
        if can_fit or not _takes_others(cluster, alias):
            outcomes.failed.append(_refusal(write, item))
            return
        if attempt < _ATTEMPTS_ALONE:
            time.sleep(_PAUSE_ALONE_S)
            answered = _ask(cluster, alias, alone)
    outcomes.refused.append(_refusal(write, item))


def _takes_others(cluster: EsClient, alias: str) -> bool:
    """Return whether the cluster has memory for the smallest write."""
    answered = _sent(cluster, alias, _PROBE)
    return not isinstance(answered, ErrorCause) and not any(
        item.error is not None for named in answered.items for item in named.values()
    )


def _refusal(write: BulkWrite, item: _Item) -> BulkFailure:
    return BulkFailure(write, item.status, item.error or ErrorCause("no reason given"))
