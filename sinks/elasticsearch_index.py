"""The documents of one index, as bytes: read by id, and changed only on top of the version that was read."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TypeVar

import msgspec

from sinks.elasticsearch_bulk import Outcomes, Refusal, Write, send
from sinks.elasticsearch_client import Cluster, Reason, failure
from sinks.elasticsearch_memory import Memory, Stored
from sinks.errors import StoreUnavailable

Revise = Callable[[str, bytes | None], bytes | None]
"""From a document's id and its source, or None where it is missing, its new source, or None to leave it."""

_READ_TOGETHER = 2000
"""Documents that are read in one request."""

_ATTEMPTS = 12
_FIRST_PAUSE_S = 0.005
_LONGEST_PAUSE_S = 1.0


class _Found(msgspec.Struct, rename={"id": "_id", "seq_no": "_seq_no", "term": "_primary_term", "source": "_source"}):
    id: str
    found: bool = False
    seq_no: int = 0
    term: int = 0
    source: msgspec.Raw = msgspec.Raw()
    error: Reason | None = None


class _Documents(msgspec.Struct):
    docs: list[_Found]


@dataclass
class Tally:
    """What has been asked of an index since it was opened, in documents.

    Args:
        damaged: those that were found changed by somebody else, each time that they were read.
    """

    written: int = 0
    unchanged: int = 0
    conflicts: int = 0
    damaged: int = 0


class Index:
    """One index.

    Args:
        name: the index, which is read.
        alias: its write alias.
        soften: makes another source of one that the index refused, or None where there is no other.
    """

    def __init__(
        self, cluster: Cluster, name: str, alias: str, memory: Memory, soften: Callable[[bytes], bytes | None]
    ) -> None:
        self.name = name
        self.alias = alias
        self.tally = Tally()
        self._cluster = cluster
        self._memory = memory
        self._soften = soften

    def load(self, ids: Sequence[str]) -> dict[str, Stored]:
        """Read documents from the store, the latest acknowledged version of each; missing ones are left out.

        Raises:
            StoreUnavailable: the store cannot serve now.
            GenerationMissing: the index is not there.
        """
        stored = {}
        for some in _chunks(ids, _READ_TOGETHER):
            # By id, because a search lags behind. And whole: a filter would write numbers anew, and round them.
            answer = self._cluster.ask("POST", f"/{self.name}/_mget", _Documents, {"ids": some})
            for document in answer.docs:
                if document.error is not None:
                    raise failure(503, document.error, f"{self.name}, document {document.id!r}")
                self._memory.forget(document.id)
                if document.found:
                    stored[document.id] = Stored(bytes(document.source), document.seq_no, document.term)
        self.remember(stored)
        return stored

    def remember(self, stored: Mapping[str, Stored]) -> None:
        """Take these for the latest versions, until a write tells otherwise."""
        for id_, one in stored.items():
            self._memory.keep(id_, one)

    def update(self, ids: Iterable[str], revise: Revise, found: Mapping[str, Stored] | None = None) -> None:
        """Change documents, each on top of its latest version, whoever else is changing it.

        Where another writer was first, the document is read and revised again: its change is never lost.

        Args:
            found: what was just read of them, where it was.

        Raises:
            StoreUnavailable: the store cannot serve now, or others were first too often.
            GenerationMissing: the index is not there.
            MutationRejected: the index refuses a source, and the softened one too.
        """
        pending, read = list(ids), found or {}
        for attempt in range(_ATTEMPTS):
            pending, read = self._attempt(pending, revise, read), {}
            if not pending:
                return
            time.sleep(random.uniform(0, min(_FIRST_PAUSE_S * 2**attempt, _LONGEST_PAUSE_S)))  # noqa: S311
        raise StoreUnavailable(f"{self.name}: {len(pending)} documents changed at every attempt")

    def forget(self) -> None:
        """Drop what is remembered of the documents."""
        self._memory.clear()

    def _attempt(self, ids: Sequence[str], revise: Revise, read: Mapping[str, Stored]) -> list[str]:
        """Try once, and return the ids where another writer was first."""
        outcomes = self._noted(send(self._cluster, self.alias, self._writes(ids, revise, read)))
        softened = self._noted(send(self._cluster, self.alias, map(self._softened, outcomes.refused)))
        for refusal in softened.refused:
            raise refusal.error(self.alias)
        return [write.id for write in (*outcomes.conflicts, *softened.conflicts)]

    def _writes(self, ids: Sequence[str], revise: Revise, read: Mapping[str, Stored]) -> Iterator[Write]:
        for some in _chunks(ids, _READ_TOGETHER):
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

    def _noted(self, outcomes: Outcomes) -> Outcomes:
        self.remember(outcomes.done)
        for write in outcomes.conflicts:
            self._memory.forget(write.id)
        self.tally.written += len(outcomes.done)
        self.tally.conflicts += len(outcomes.conflicts)
        for refusal in outcomes.failed:
            raise refusal.error(self.alias)
        return outcomes

    def _softened(self, refusal: Refusal) -> Write:
        source = self._soften(refusal.write.source)
        if source is None:
            raise refusal.error(self.alias)
        return replace(refusal.write, source=source)


def _write(id_: str, stored: Stored | None, revise: Revise) -> Write | None:
    source = revise(id_, stored.source if stored else None)
    return None if source is None else Write(id_, source, stored)


Item = TypeVar("Item")


def _chunks(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    rest = iter(items)
    while some := list(islice(rest, size)):
        yield some
