"""Index of one document type in one generation: its documents, range tombstones and progress."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import pyarrow as pa

from sinks.batch import Batch, OffsetRange, Progress, TopicPartition
from sinks.elasticsearch.bulk import BulkFailure
from sinks.elasticsearch.client import EsClient, to_sink_error
from sinks.elasticsearch.codec import (
    DOCUMENTS,
    REJECTED,
    DecodedDocument,
    DocumentCodec,
    RefusedDocument,
    document_id,
    is_of_document,
    refused_document,
)
from sinks.elasticsearch.document_cache import DocumentCache, VersionedSource
from sinks.elasticsearch.mapping import OWN_FIELDS, SERVED_BULK_LOAD_SETTINGS, IndexSettings, InvalidMapping, index_body
from sinks.elasticsearch.metadata import read_generations, to_meta
from sinks.elasticsearch.metadata_documents import (
    FENCES_ID,
    SHARDS_ID,
    TombstoneState,
    encode_partitions,
    encode_progress,
    parse_partitions,
    parse_progress,
    progress_id,
)
from sinks.elasticsearch.overrides import InvalidOverride
from sinks.elasticsearch.register_text import lacks_images, with_images_of
from sinks.elasticsearch.scan import REJECTION, count, first, kind_query, refresh, scan
from sinks.elasticsearch.versioned_index import VersionedIndex
from sinks.errors import MutationRejected, OffsetGap
from sinks.generation import GenerationMetadata, utc_now
from sinks.ordering.columns import to_changes
from sinks.ordering.document import Parts, merge
from sinks.ordering.fold import DOCUMENTS_PER_PAGE, document_pages
from sinks.ordering.range_tombstone import RangeTombstone, RangeTombstones
from sinks.ordering.register import Register, merge_registers
from sinks.rejection import MAX_NAMED, Rejection, Rejections
from sinks.shape import DocumentShape

_REMEMBERED_BYTES = 64 * 2**20
_IMAGES_LEFT_BYTES = 2**20
"""Limit for the images of a document that is rejected even in packed form."""


class DocumentIndex:
    """Index of one document type in one generation.

    Args:
        name: the index; its write alias is `{name}-write`.
        settings: used if the index is created.
    """

    def __init__(self, cluster: EsClient, name: str, shape: DocumentShape, settings: IndexSettings) -> None:
        self._cluster = cluster
        self.shape = shape
        self._settings = settings
        self._format = DocumentCodec(shape)
        memory = DocumentCache(_REMEMBERED_BYTES)
        self._hashed: dict[str, str] = {}
        instead = (self._sheltered, self._rejected, partial(self._rejected, longest_bytes=_IMAGES_LEFT_BYTES))
        self.index = VersionedIndex(cluster, name, f"{name}-write", memory, instead)

    def prepare(self, record: GenerationMetadata | None = None) -> None:
        """Create the index and its write alias if they are missing.

        Args:
            record: the metadata of a generation that is created; None to store no metadata.
        """
        name, alias = self.index.name, self.index.alias
        body = {
            **index_body(self.shape, self._settings, is_complete=record is None or record.is_complete),
            "aliases": {alias: {}},
        }
        if record is not None:
            body["mappings"].update(to_meta(record))
        answer = self._cluster.request_raw("PUT", f"/{name}", body)
        if answer.status < 300:
            return
        reason = answer.cause
        if reason.type != "resource_already_exists_exception":
            error = to_sink_error(answer.status, reason, name)
            if not isinstance(error, MutationRejected):
                raise error
            if self.shape.index:
                # The request has no document, so the whole reason can be shown.
                raise InvalidOverride(f"{name}: {reason.reason or reason.type}")
            raise InvalidMapping(f"{name}: {reason}")
        self._cluster.request("PUT", f"/{name}/_alias/{alias}", dict[str, Any])
        # An index created by an earlier version lacks the metadata fields that were added since.
        self._cluster.request("PUT", f"/{name}/_mapping", dict[str, Any], {"properties": OWN_FIELDS})

    def record_metadata(self, change: Callable[[GenerationMetadata], GenerationMetadata]) -> None:
        """Change the metadata of the generation."""
        name = self.index.name
        [known] = read_generations(self._cluster, name).values()
        self._cluster.request("PUT", f"/{name}/_mapping", dict[str, Any], to_meta(change(known)))

    def refresh_at_intervals(self) -> None:
        """Set a refresh interval for an index that is still being filled, because readers are about to search it."""
        name = self.index.name
        [known] = read_generations(self._cluster, name).values()
        if not known.is_complete:
            self._cluster.request("PUT", f"/{name}/_settings", dict[str, Any], {"index": SERVED_BULK_LOAD_SETTINGS})

    def refresh(self) -> None:
        """Make all acknowledged writes visible to searches."""
        refresh(self._cluster, self.index.name)

    def rejections(self) -> Rejections:
        """Return the documents that the index rejects."""
        refresh(self._cluster, self.index.name)
        held = kind_query(REJECTED)
        total = count(self._cluster, self.index.name, held)
        hits = first(self._cluster, self.index.name, held, [REJECTION], MAX_NAMED) if total else []
        refused = [refused_document(bytes(hit.source)) for hit in hits]
        return Rejections(total, tuple(Rejection(self.shape.name, one.key, one.reason, one.at) for one in refused))

    def progress(self) -> Progress:
        """Return the progress that the index itself stores."""
        named = self.index.load([SHARDS_ID]).get(SHARDS_ID)
        ids = [progress_id(topic_partition) for topic_partition in parse_partitions(named.source if named else None)]
        # The documents are read by id: a search would need a refresh first, which adds a segment each time.
        return parse_progress([one.source for one in self.index.load(ids).values()])

    def write(self, batch: Batch) -> None:
        """Write the changes of this document in a batch, as `sinks.sink.Sink.write` requires.

        The order of the steps makes it complete. A writer reads the range tombstones before it writes documents, and
        again after its writes are acknowledged. A writer that declares a range tombstone stores it before it scans the
        documents. So either the scan finds a document that was written without the tombstone, or that document's writer
        finds the tombstone and applies it. If a writer fails in between, its progress has not advanced, and the batch
        is written again.
        """
        known, named = self._begin(batch.span)
        new = [
            range_tombstone
            for range_tombstone in batch.range_tombstones
            if range_tombstone.scope.startswith(f"{self.shape.name}/")
        ]
        declared = self._store_tombstones(new) if new else known.declared
        incoming = batch.folded_parts(self.shape)
        self._merge_all(incoming, declared)
        if known.applied.merge(new) != known.applied:
            self._apply_to_all(declared)
        while (latest := self._fences().declared) != declared:
            self._merge_all(incoming, latest)
            declared = latest
        self._register_partitions(batch.span.end.keys(), named)
        self._advance(batch.span)

    def _begin(self, span: OffsetRange) -> tuple[TombstoneState, set[TopicPartition]]:
        """Read the range tombstones and the stored topic partitions.

        Raises:
            OffsetGap: the span begins after the stored progress.
        """
        stored = self.index.load([FENCES_ID, SHARDS_ID, *map(progress_id, span.begin)])
        range_tombstones, named = stored.pop(FENCES_ID, None), stored.pop(SHARDS_ID, None)
        try:
            parse_progress([one.source for one in stored.values()]).require_contiguous(span)
        except OffsetGap:
            # The store was restored to an earlier state, so the cached documents may not exist any more.
            self.index.forget()
            raise
        return TombstoneState.from_source(range_tombstones.source if range_tombstones else None), parse_partitions(
            named.source if named else None
        )

    def _merge_all(self, incoming: pa.Table, range_tombstones: RangeTombstones) -> None:
        for page in document_pages(incoming, DOCUMENTS_PER_PAGE):
            documents = _by_key(page)
            self._hashed = {id_: key for key in documents if (id_ := document_id(key)) != key}
            self._merge({document_id(key): parts for key, parts in documents.items()}, range_tombstones)

    def _merge(
        self,
        incoming: Mapping[str, Parts],
        range_tombstones: RangeTombstones,
        found: Mapping[str, VersionedSource] | None = None,
    ) -> None:
        def revise(id_: str, source: bytes | None) -> bytes | None:
            if source is None and not range_tombstones:
                return self._format.encode(incoming[id_])
            reading = self._format.decode(source) if source else DecodedDocument({})
            self.index.tally.damaged += reading.is_damaged
            known = with_images_of(incoming[id_], reading.parts) if reading.refused else reading.parts
            merged = merge(known, incoming[id_], range_tombstones, self.shape.name)
            if merged == reading.parts:
                return None
            if reading.refused and lacks_images(merged):
                return self._format.encode_rejected(merged, reading.refused)
            return self._format.encode(merged)

        self.index.update(incoming, revise, found)

    def _sheltered(self, refusal: BulkFailure) -> bytes | None:
        return None if refusal.is_of_size else self._format.encode_json_as_text(refusal.write.source)

    def _rejected(self, refusal: BulkFailure, longest_bytes: int | None = None) -> bytes | None:
        """Return the replacement for a rejected document; None for a metadata document."""
        id_, replaces = refusal.write.id, refusal.write.replaces
        if not is_of_document(id_):
            return None
        before = self._format.decode(replaces.source).refused if replaces else None
        key = self._hashed.get(id_) or (before.key if before else id_)
        at = before.at if before else utc_now().isoformat(timespec="seconds")
        parts = self._format.decode(refusal.write.source).parts
        return self._format.encode_rejected(parts, RefusedDocument(key, str(refusal.reason), at), longest_bytes)

    def _fences(self) -> TombstoneState:
        stored = self.index.load([FENCES_ID]).get(FENCES_ID)
        return TombstoneState.from_source(stored.source if stored else None)

    def _change_fences(self, change: Callable[[TombstoneState], TombstoneState]) -> None:
        def revise(_: str, source: bytes | None) -> bytes | None:
            known = TombstoneState.from_source(source)
            changed = change(known)
            return None if changed == known else changed.to_source()

        self.index.update([FENCES_ID], revise)

    def _store_tombstones(self, new: Iterable[RangeTombstone]) -> RangeTombstones:
        """Store range tombstones durably, and return all declared ones."""
        self._change_fences(lambda known: replace(known, declared=known.declared.merge(new)))
        return self._fences().declared

    def _apply_to_all(self, range_tombstones: RangeTombstones) -> None:
        """Apply range tombstones to every document, including hidden ones, and record that it was done."""
        for hits in scan(self._cluster, self.index.name, kind_query(*DOCUMENTS)):
            page = {hit.id: hit.stored for hit in hits}
            # A cached document may lack a part that another worker added before the tombstone was declared.
            self._merge({id_: {} for id_ in page}, range_tombstones, page)
        self._change_fences(lambda known: replace(known, applied=known.applied.merge(range_tombstones)))

    def _advance(self, span: OffsetRange) -> None:
        """Advance the progress as the last step. It never decreases, because another worker may have advanced it.

        Raises:
            OffsetGap: the store lost progress while the batch was written.
        """
        end = {progress_id(topic_partition): (topic_partition, offset) for topic_partition, offset in span.end.items()}

        def revise(id_: str, source: bytes | None) -> bytes | None:
            topic_partition, offset = end[id_]
            stored = parse_progress([source] if source else [])
            if stored.next_offset(topic_partition) < span.begin.get(topic_partition, 0):
                raise OffsetGap({topic_partition: stored.next_offset(topic_partition)})
            return (
                None
                if source and stored.next_offset(topic_partition) >= offset
                else encode_progress(topic_partition, offset)
            )

        self.index.update(end, revise)

    def _register_partitions(
        self, topic_partitions: Collection[TopicPartition], named: Collection[TopicPartition]
    ) -> None:
        """Record the topic partitions of the progress documents, before these are written."""
        if {*named} >= {*topic_partitions}:
            return

        def revise(_: str, source: bytes | None) -> bytes | None:
            known = parse_partitions(source)
            return None if known >= {*topic_partitions} else encode_partitions(known | {*topic_partitions})

        self.index.update([SHARDS_ID], revise)


def _by_key(folded: pa.Table) -> dict[str, Parts]:
    """Return the registers of folded changes, by document."""
    documents: defaultdict[str, Parts] = defaultdict(dict)
    names = (folded[name].to_pylist() for name in ("key", "part", "_is_snapshot"))
    changes = to_changes(folded, folded["image"].to_pylist())
    for key, part, is_snapshot, change in zip(*names, changes, strict=True):
        register = Register(None, change) if is_snapshot else Register(change)
        parts = documents[key]
        parts[part] = merge_registers(parts[part], register) if part in parts else register
    return documents
