"""One document's index in one generation: its documents, the fences over them, and how far the log is taken in."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import pyarrow as pa

from sinks.batch import Batch, Progress, Shard, Span
from sinks.elasticsearch.bulk import Refusal
from sinks.elasticsearch.client import Cluster, failure
from sinks.elasticsearch.codec import (
    DOCUMENTS,
    REJECTED,
    DocumentFormat,
    Reading,
    Refused,
    id_of,
    is_of_document,
    refused_of,
)
from sinks.elasticsearch.document_cache import Memory, Stored
from sinks.elasticsearch.mapping import OF_SHOWN_WHILE_BUILDING, OWN_FIELDS, IndexSettings, ShapeRefused, index_of
from sinks.elasticsearch.metadata import meta, records
from sinks.elasticsearch.metadata_documents import (
    FENCES_ID,
    SHARDS_ID,
    FenceLedger,
    progress_id,
    progress_of,
    progress_source,
    shards_of,
    shards_source,
)
from sinks.elasticsearch.register_text import lacks_images, with_images_of
from sinks.elasticsearch.scan import REJECTION, count, first, of_kind, refresh, scan
from sinks.elasticsearch.versioned_index import Index
from sinks.errors import ProgressLost
from sinks.generation import Record, now
from sinks.ordering.document import Parts, merge
from sinks.ordering.fold import DOCUMENTS_PER_PAGE, fold, in_pages
from sinks.ordering.range_tombstone import Fence, Fences
from sinks.ordering.register import Change, Register, join
from sinks.rejection import MOST_NAMED, Rejection, Rejections
from sinks.shape import DocumentShape

_CHANGE = ("_epoch", "_commit_lsn", "_lsn", "_tie", "_offset", "_partition", "_deleted", "image")
"""The columns of a mutation that make up a `Change`, in its order."""

_REMEMBERED_BYTES = 64 * 2**20
_IMAGES_LEFT_BYTES = 2**20
"""Of a document that is refused even when it is packed."""


class GenerationIndex:
    """The index of one document in one generation.

    Args:
        name: the index; its write alias is `{name}-write`.
        settings: for the index, where it is still to be made.
    """

    def __init__(self, cluster: Cluster, name: str, shape: DocumentShape, settings: IndexSettings) -> None:
        self._cluster = cluster
        self.shape = shape
        self._settings = settings
        self._format = DocumentFormat(shape)
        memory = Memory(_REMEMBERED_BYTES)
        self._hashed: dict[str, str] = {}
        instead = (self._sheltered, self._rejected, partial(self._rejected, longest_bytes=_IMAGES_LEFT_BYTES))
        self.index = Index(cluster, name, f"{name}-write", memory, instead)

    def prepare(self, record: Record | None = None) -> None:
        """Create the index and its write alias where they are missing.

        Args:
            record: of a generation that is created; None for one of which nothing is to be noted.
        """
        name, alias = self.index.name, self.index.alias
        body = {
            **index_of(self.shape, self._settings, is_complete=record is None or record.is_complete),
            "aliases": {alias: {}},
        }
        if record is not None:
            body["mappings"].update(meta(record))
        answer = self._cluster.answer("PUT", f"/{name}", body)
        if answer.status < 300:
            return
        reason = answer.reason
        if reason.type == "mapper_parsing_exception":
            raise ShapeRefused(f"{name}: {reason}")
        if reason.type != "resource_already_exists_exception":
            raise failure(answer.status, reason, name)
        self._cluster.ask("PUT", f"/{name}/_alias/{alias}", dict[str, Any])
        # An index of an earlier version lacks those that were added since.
        self._cluster.ask("PUT", f"/{name}/_mapping", dict[str, Any], {"properties": OWN_FIELDS})

    def note(self, change: Callable[[Record], Record]) -> None:
        """Change the record of the generation."""
        name = self.index.name
        [known] = records(self._cluster, name).values()
        self._cluster.ask("PUT", f"/{name}/_mapping", dict[str, Any], meta(change(known)))

    def refresh_at_intervals(self) -> None:
        """Have an index that is still filled refreshed now and again: readers are about to search it."""
        name = self.index.name
        [known] = records(self._cluster, name).values()
        if not known.is_complete:
            self._cluster.ask("PUT", f"/{name}/_settings", dict[str, Any], {"index": OF_SHOWN_WHILE_BUILDING})

    def refresh(self) -> None:
        """Let searches find everything that was acknowledged."""
        refresh(self._cluster, self.index.name)

    def rejections(self) -> Rejections:
        """The documents that the index refuses."""
        refresh(self._cluster, self.index.name)
        held = of_kind(REJECTED)
        total = count(self._cluster, self.index.name, held)
        hits = first(self._cluster, self.index.name, held, [REJECTION], MOST_NAMED) if total else []
        refused = [refused_of(bytes(hit.source)) for hit in hits]
        return Rejections(total, tuple(Rejection(self.shape.name, one.key, one.reason, one.at) for one in refused))

    def progress(self) -> Progress:
        """What the index itself says of the log."""
        named = self.index.load([SHARDS_ID]).get(SHARDS_ID)
        ids = [progress_id(shard) for shard in shards_of(named.source if named else None)]
        # By id: a search would have to refresh the index first, which costs it a segment each time.
        return progress_of([one.source for one in self.index.load(ids).values()])

    def write(self, batch: Batch) -> None:
        """Join what a batch holds of this document, as `sinks.sink.Sink.write` says.

        The order makes it whole. Whoever writes a document has read the fences before, and reads them again after its
        write was acknowledged; whoever declares a fence stores it before it looks at the documents. So either the
        sweep finds what was written without the fence, or the writer finds the fence and joins it itself; and where a
        writer dies in between, its progress has not moved, and the batch is written again.
        """
        known, named = self._begin(batch.span)
        new = [fence for fence in batch.fences if fence.scope.startswith(f"{self.shape.name}/")]
        declared = self._declare(new) if new else known.declared
        incoming = fold(batch.changes_of(self.shape.target), self.shape.identity)
        self._merge_all(incoming, declared)
        if known.applied.joined(new) != known.applied:
            self._sweep(declared)
        while (latest := self._fences().declared) != declared:
            self._merge_all(incoming, latest)
            declared = latest
        self._name_shards(batch.span.end.keys(), named)
        self._advance(batch.span)

    def _begin(self, span: Span) -> tuple[FenceLedger, set[Shard]]:
        """Read what the store itself knows, its fences and of which shards it has progress.

        Raises:
            ProgressLost: the span begins beyond what the store has taken in.
        """
        stored = self.index.load([FENCES_ID, SHARDS_ID, *map(progress_id, span.begin)])
        fences, named = stored.pop(FENCES_ID, None), stored.pop(SHARDS_ID, None)
        try:
            progress_of([one.source for one in stored.values()]).require(span)
        except ProgressLost:
            # The store's history was rewound, and what is remembered may belong to the one that is gone.
            self.index.forget()
            raise
        return FenceLedger.from_source(fences.source if fences else None), shards_of(named.source if named else None)

    def _merge_all(self, incoming: pa.Table, fences: Fences) -> None:
        for page in in_pages(incoming, DOCUMENTS_PER_PAGE):
            documents = _by_key(page)
            self._hashed = {id_: key for key in documents if (id_ := id_of(key)) != key}
            self._merge({id_of(key): parts for key, parts in documents.items()}, fences)

    def _merge(self, incoming: Mapping[str, Parts], fences: Fences, found: Mapping[str, Stored] | None = None) -> None:
        def revise(id_: str, source: bytes | None) -> bytes | None:
            if source is None and not fences:
                return self._format.write(incoming[id_])
            reading = self._format.read(source) if source else Reading({})
            self.index.tally.damaged += reading.is_damaged
            known = with_images_of(incoming[id_], reading.parts) if reading.refused else reading.parts
            merged = merge(known, incoming[id_], fences, self.shape.name)
            if merged == reading.parts:
                return None
            if reading.refused and lacks_images(merged):
                return self._format.write_rejected(merged, reading.refused)
            return self._format.write(merged)

        self.index.update(incoming, revise, found)

    def _sheltered(self, refusal: Refusal) -> bytes | None:
        return None if refusal.is_of_size else self._format.write_sheltered(refusal.write.source)

    def _rejected(self, refusal: Refusal, longest_bytes: int | None = None) -> bytes | None:
        """What stands in the place of a document that the index refuses; None of what is no document."""
        id_, replaces = refusal.write.id, refusal.write.replaces
        if not is_of_document(id_):
            return None
        before = self._format.read(replaces.source).refused if replaces else None
        key = self._hashed.get(id_) or (before.key if before else id_)
        at = before.at if before else now().isoformat(timespec="seconds")
        parts = self._format.read(refusal.write.source).parts
        return self._format.write_rejected(parts, Refused(key, str(refusal.reason), at), longest_bytes)

    def _fences(self) -> FenceLedger:
        stored = self.index.load([FENCES_ID]).get(FENCES_ID)
        return FenceLedger.from_source(stored.source if stored else None)

    def _change_fences(self, change: Callable[[FenceLedger], FenceLedger]) -> None:
        def revise(_: str, source: bytes | None) -> bytes | None:
            known = FenceLedger.from_source(source)
            changed = change(known)
            return None if changed == known else changed.to_source()

        self.index.update([FENCES_ID], revise)

    def _declare(self, new: Iterable[Fence]) -> Fences:
        """Store fences durably, and say what is declared now."""
        self._change_fences(lambda known: replace(known, declared=known.declared.joined(new)))
        return self._fences().declared

    def _sweep(self, fences: Fences) -> None:
        """Join fences into every document, also those that readers do not see, and note that it was done."""
        for hits in scan(self._cluster, self.index.name, of_kind(*DOCUMENTS)):
            page = {hit.id: hit.stored for hit in hits}
            # What was remembered may lack a part that another worker had added before the fence was declared.
            self._merge({id_: {} for id_ in page}, fences, page)
        self._change_fences(lambda known: replace(known, applied=known.applied.joined(fences)))

    def _advance(self, span: Span) -> None:
        """Move progress, last of all, and never back: another worker may be further.

        Raises:
            ProgressLost: the store went back while the batch was written.
        """
        end = {progress_id(shard): (shard, offset) for shard, offset in span.end.items()}

        def revise(id_: str, source: bytes | None) -> bytes | None:
            shard, offset = end[id_]
            stored = progress_of([source] if source else [])
            if stored.of(shard) < span.begin.get(shard, 0):
                raise ProgressLost({shard: stored.of(shard)})
            return None if source and stored.of(shard) >= offset else progress_source(shard, offset)

        self.index.update(end, revise)

    def _name_shards(self, shards: Collection[Shard], named: Collection[Shard]) -> None:
        """Note of which shards there is progress, before there is any."""
        if {*named} >= {*shards}:
            return

        def revise(_: str, source: bytes | None) -> bytes | None:
            known = shards_of(source)
            return None if known >= {*shards} else shards_source(known | {*shards})

        self.index.update([SHARDS_ID], revise)


def _by_key(folded: pa.Table) -> dict[str, Parts]:
    """The registers of folded changes, per document."""
    documents: defaultdict[str, Parts] = defaultdict(dict)
    names = (folded[name].to_pylist() for name in ("key", "part", "_is_snapshot"))
    changes = map(Change._make, zip(*(folded[name].to_pylist() for name in _CHANGE), strict=True))
    for key, part, is_snapshot, change in zip(*names, changes, strict=True):
        register = Register(None, change) if is_snapshot else Register(change)
        parts = documents[key]
        parts[part] = join(parts[part], register) if part in parts else register
    return documents
