"""The documents of one index, as bytes: read by id, and changed only on top of the version that was read."""

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
"""From a document's id and its source, or None where it is missing, its new source, or None to leave it."""

Fallback = Callable[[BulkFailure], bytes | None]
"""From a refusal, another source to write instead, or None where there is no other."""

_MAX_REJECTED = 100
"""Documents that may be refused at once for what they are, where they are most of a batch."""

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
    """What has been asked of an index since it was opened, in documents.

    Args:
        rejected: those that the index refused for what they are, and whose place it holds.
        damaged: those that were found changed by somebody else, each time that they were read.
    """

    written: int = 0
    unchanged: int = 0
    conflicts: int = 0
    damaged: int = 0
    rejected: int = 0


class VersionedIndex:
    """One index.

    Args:
        name: the index, which is read.
        alias: its write alias.
        instead: make other sources of one that the index refused for what it is; each is tried after the one before.
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
        """Read documents from the store, the latest acknowledged version of each; missing ones are left out.

        Raises:
            StoreUnavailable: the store cannot serve now.
            GenerationMissing: the index is not there.
        """
        stored: dict[str, VersionedSource] = {}
        first = 0
        while first < len(ids):
            some = ids[first : first + self._answer_size.documents]
            first += len(some)
            # By id, because a search lags behind. And whole: a filter would write numbers anew, and round them.
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
        """Take these for the latest versions, until a write tells otherwise."""
        for id_, one in stored.items():
            self._memory.put(id_, one)

    def update(self, ids: Iterable[str], revise: Update, found: Mapping[str, VersionedSource] | None = None) -> None:
        """Change documents, each on top of its latest version, whoever else is changing it.

        Where another writer was first, the document is read and revised again: its change is never lost.

        Args:
            found: what was just read of them, where it was.

        Raises:
            StoreUnavailable: the store cannot serve now, or others were first too often.
            GenerationMissing: the index is not there.
            MutationRejected: the index refuses a source, and everything that could be written instead.
        """
        pending, read = list(ids), found or {}
        for attempt in range(_ATTEMPTS):
            pending, read = self._attempt(pending, revise, read), {}
            if not pending:
                return
            time.sleep(random.uniform(0, min(_FIRST_PAUSE_S * 2**attempt, _MAX_PAUSE_S)))  # noqa: S311
        raise StoreUnavailable(f"{self.name}: {len(pending)} documents changed at every attempt")

    def forget(self) -> None:
        """Drop what is remembered of the documents."""
        self._memory.clear()

    def _attempt(self, ids: Sequence[str], revise: Update, read: Mapping[str, VersionedSource]) -> list[str]:
        """Try once, and return the ids where another writer was first."""
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
        """Look whether it is the documents that are refused, and not all of them for what the index is.

        Raises:
            MutationRejected: the index lacks a column, or refuses most of what it is given.
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
            # Also those that memory would leave as they are: a store that went back does not hold what it held.
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
