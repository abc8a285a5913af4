"""Versioned documents of one index, as bytes: read by id, and updated only on top of the version that was read."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import msgspec
import structlog

from sinks.elasticsearch.bulk import BulkFailure, BulkResult, BulkWrite, bulk_write
from sinks.elasticsearch.client import ErrorCause, EsClient, to_sink_error
from sinks.elasticsearch.codec import is_rejected
from sinks.elasticsearch.document_cache import DocumentCache, VersionedSource
from sinks.elasticsearch.scan import AnswerSize
from sinks.errors import StoreUnavailable
from sinks.rejection import REMEDY

log = structlog.get_logger()

Update = Callable[[str, bytes | None], bytes | None]
"""Function from a document's id and source (None if missing) to its new source, or None to leave it unchanged."""

Fallback = Callable[[BulkFailure], bytes | None]
"""Function from a failed write to another source for it, or None if there is no other."""

_MAX_REJECTED = 100
"""Documents that may be rejected at once, if they are most of a batch."""

_ATTEMPTS = 12
_FIRST_PAUSE_S = 0.005
_MAX_PAUSE_S = 1.0


class _Found(msgspec.Struct, rename={"id": "_id", "seq_no": "_seq_no", "term": "_primary_term", "source": "_source"}):
    id: str
    found: bool = False
    seq_no: int = 0
    term: int = 0
    source: msgspec.Raw = msgspec.Raw()
    error: ErrorCause | None = None


class _Documents(msgspec.Struct):
    docs: list[_Found]


@dataclass
class WriteStats:
    """Write statistics of an index since it was opened, in documents.

    Args:
        rejected: documents that the index rejected, and that were replaced.
        damaged: documents that another program had changed, counted each time they were read.
    """

    written: int = 0
    unchanged: int = 0
    conflicts: int = 0
    damaged: int = 0
    rejected: int = 0


class VersionedIndex:
    """One index, with a cache of its documents.

    Args:
        name: the index, used to read.
        alias: its write alias.
        instead: functions that return other sources for a rejected document, tried in this order.
    """

    def __init__(
        self, cluster: EsClient, name: str, alias: str, memory: DocumentCache, instead: Sequence[Fallback] = ()
    ) -> None:
        self.name = name
        self.alias = alias
        self.tally = WriteStats()
        self._cluster = cluster
        self._memory = memory
        self._instead = tuple(instead)
        self._answer_size = AnswerSize()

    def load(self, ids: Sequence[str]) -> dict[str, VersionedSource]:
        """Read the latest acknowledged version of documents by id. Missing documents are left out.

        Raises:
            StoreUnavailable: the store cannot serve now.
            GenerationMissing: the index is missing.
        """
        stored: dict[str, VersionedSource] = {}
        first = 0
        while first < len(ids):
            some = ids[first : first + self._answer_size.documents]
            first += len(some)
            # The documents are read by id, because a search lags, and whole, because a filter would format numbers
            # again and round them.
            answer = self._cluster.request("POST", f"/{self.name}/_mget", _Documents, {"ids": list(some)})
            self._answer_size.record(len(some), sum(len(bytes(one.source)) for one in answer.docs))
            for document in answer.docs:
                if document.error is not None:
                    raise to_sink_error(503, document.error, f"{self.name}, document {document.id!r}")
                self._memory.forget(document.id)
                if document.found:
                    stored[document.id] = VersionedSource(bytes(document.source), document.seq_no, document.term)
        self.remember(stored)
        return stored

    def remember(self, stored: Mapping[str, VersionedSource]) -> None:
        """Cache these as the latest versions."""
        for id_, one in stored.items():
            self._memory.put(id_, one)

    def update(self, ids: Iterable[str], revise: Update, found: Mapping[str, VersionedSource] | None = None) -> None:
        """Update documents, each on top of its latest version, even with concurrent writers.

        If another writer was first, the document is read and revised again, so its change is never lost.

        Args:
            found: versions of these documents that were just read, if any.

        Raises:
            StoreUnavailable: the store cannot serve now, or other writers were first too often.
            GenerationMissing: the index is missing.
            MutationRejected: the index rejects a source and all its alternatives.
        """
        pending, read = list(ids), found or {}
        for attempt in range(_ATTEMPTS):
            pending, read = self._attempt(pending, revise, read), {}
            if not pending:
                return
            time.sleep(random.uniform(0, min(_FIRST_PAUSE_S * 2**attempt, _MAX_PAUSE_S)))  # noqa: S311
        raise StoreUnavailable(f"{self.name}: {len(pending)} documents changed at every attempt")

    def forget(self) -> None:
        """Clear the cache."""
        self._memory.clear()

    def _attempt(self, ids: Sequence[str], revise: Update, read: Mapping[str, VersionedSource]) -> list[str]:
        """Try once, and return the ids for which another writer was first."""
        outcomes = self._cache_result(bulk_write(self._cluster, self.alias, self._writes(ids, revise, read)))
        conflicts = list(outcomes.conflicts)
        refused = {refusal.write.id: refusal for refusal in outcomes.refused}
        if refused:
            self._require_at_fault(outcomes)
        for instead in self._instead:
            again = self._cache_result(bulk_write(self._cluster, self.alias, _rewritten(refused.values(), instead)))
            conflicts += again.conflicts
            for id_ in [*again.done, *(write.id for write in again.conflicts)]:
                refusal = refused.pop(id_)
                if id_ in again.done:
                    self._tell(refusal, again.done[id_])
        for refusal in refused.values():
            raise refusal.error(self.alias)
        return [write.id for write in conflicts]

    def _require_at_fault(self, outcomes: BulkResult) -> None:
        """Check that single documents are rejected, and not all of them for the state of the index.

        Raises:
            MutationRejected: the index lacks a column, or rejects most documents.
        """
        first = outcomes.refused[0]
        is_of_definition = any(refusal.reason.is_of_definition for refusal in outcomes.refused)
        if is_of_definition or len(outcomes.refused) > max(_MAX_REJECTED, len(outcomes.done)):
            raise first.error(self.alias)

    def _tell(self, refusal: BulkFailure, written: VersionedSource) -> None:
        replaced = refusal.write.replaces
        if not is_rejected(written.source) or (replaced is not None and is_rejected(replaced.source)):
            return
        self.tally.rejected += 1
        log.warning(
            "document rejected",
            index=self.name,
            document=refusal.write.id,
            reason=str(refusal.reason),
            remedy=REMEDY.format(model="elasticsearch"),
        )

    def _writes(self, ids: Sequence[str], revise: Update, read: Mapping[str, VersionedSource]) -> Iterator[BulkWrite]:
        rest = iter(ids)
        while some := list(islice(rest, self._answer_size.documents)):
            unsure = []
            for id_ in some:
                remembered = None if id_ in read else self._memory.get(id_)
                write = None if remembered is None else _write(id_, remembered, revise)
                if write is None:
                    unsure.append(id_)
                else:
                    yield write
            # A document that the cached version would leave unchanged is read as well, because a restored store may
            # lack it.
            known = {**read, **self.load([id_ for id_ in unsure if id_ not in read])}
            for id_ in unsure:
                write = _write(id_, known.get(id_), revise)
                if write is None:
                    self.tally.unchanged += 1
                else:
                    yield write

    def _cache_result(self, outcomes: BulkResult) -> BulkResult:
        self.remember(outcomes.done)
        for write in outcomes.conflicts:
            self._memory.forget(write.id)
        self.tally.written += len(outcomes.done)
        self.tally.conflicts += len(outcomes.conflicts)
        for refusal in outcomes.failed:
            raise refusal.error(self.alias)
        return outcomes


def _rewritten(refused: Iterable[BulkFailure], instead: Fallback) -> Iterator[BulkWrite]:
    for refusal in refused:
        source = instead(refusal)
        if source is not None:
            yield replace(refusal.write, source=source)


def _write(id_: str, stored: VersionedSource | None, revise: Update) -> BulkWrite | None:
    source = revise(id_, stored.source if stored else None)
    return None if source is None else BulkWrite(id_, source, stored)
