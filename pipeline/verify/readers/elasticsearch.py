"""Reader of Elasticsearch: searches through the alias, whose filter hides deleted documents.

A generation that is not live is searched in its own index, with the filter that the alias would have.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import msgspec
import pyarrow as pa

from pipeline.config import Settings
from pipeline.epochs.offset_sink import open_sink
from pipeline.ingest.key_text import UnfitKey
from pipeline.verify.comparison_set import ComparisonSet, documents
from pipeline.verify.json_value import Malformed, parsed
from pipeline.verify.readers.reader import page
from pipeline.verify.readers.row_key import key_of_shown
from sinks.batch import TopicPartition
from sinks.elasticsearch.client import EsClient
from sinks.elasticsearch.codec import REJECTED, RESERVED, VISIBLE, document_id, refused_document
from sinks.elasticsearch.mapping import METADATA_FIELD
from sinks.elasticsearch.scan import REJECTION, Hit, by_id, kind_query, scan
from sinks.elasticsearch.store import ElasticsearchStore, connect, index_name
from sinks.errors import GenerationMissing
from sinks.sink import Sink

_KEPT = f',"{METADATA_FIELD}":{{"kind":"{VISIBLE}"'.encode()
"""Start of the metadata that the sink stores in a document. Metadata is the document's last field."""


@dataclass(frozen=True)
class ElasticsearchReader:
    """Reader of the documents behind the aliases, or in the indices of a generation.

    Args:
        generation: None for the live one.
    """

    subjects: tuple[ComparisonSet, ...]
    cluster: EsClient
    store: ElasticsearchStore
    generation: int | None

    def sink(self) -> Sink:
        generation = self.store.live() if self.generation is None else self.generation
        if generation is None:
            raise GenerationMissing("no generation of elasticsearch is live")
        return open_sink(self.store, generation)

    def progress(self) -> Mapping[TopicPartition, int]:
        return self.sink().progress().offsets

    def scan(self, subject: ComparisonSet) -> Iterator[pa.Table]:
        for hits in scan(self.cluster, self._index(subject), self._filter):
            yield page([_key(hit, subject) for hit in hits], [_content(bytes(hit.source)) for hit in hits])

    def lookup(self, subject: ComparisonSet, keys: Sequence[str]) -> dict[str, str]:
        hits = by_id(self.cluster, self._index(subject), list(map(document_id, keys)), self._filter)
        return {_key(hit, subject): _content(bytes(hit.source)) for hit in hits}

    def rejected(self, subject: ComparisonSet, keys: Sequence[str]) -> Mapping[str, str]:
        generation = self.store.live() if self.generation is None else self.generation
        if generation is None:
            return {}
        ids = {document_id(key): key for key in keys}
        hits = by_id(self.cluster, index_name(subject.name, generation), list(ids), kind_query(REJECTED), [REJECTION])
        return {ids[hit.id]: refused_document(bytes(hit.source)).reason for hit in hits}

    def _index(self, subject: ComparisonSet) -> str:
        return subject.name if self.generation is None else index_name(subject.name, self.generation)

    @property
    def _filter(self) -> dict[str, Any] | None:
        return None if self.generation is None else kind_query(VISIBLE)


@contextmanager
def open_elasticsearch_reader(settings: Settings, generation: int | None = None) -> Iterator[ElasticsearchReader]:
    """Open the index for reading: through the alias, or the index of `generation` if it is given."""
    timeout_s = settings.elasticsearch.request_timeout_s
    with connect(settings.elasticsearch.url, request_timeout_s=timeout_s) as client:
        store = ElasticsearchStore(client, settings.definitions.document_shapes())
        yield ElasticsearchReader(documents(settings.definitions), EsClient(client), store, generation)


def _key(hit: Hit, subject: ComparisonSet) -> str:
    """Return the document's key: its id, or the key in the source if the key cannot be an id."""
    if hit.id.startswith(RESERVED):
        try:
            return key_of_shown(parsed(bytes(hit.source).decode()), subject.root)
        except (Malformed, UnfitKey):
            return hit.id
    return hit.id


def _content(source: bytes) -> str:
    """Return the document without the sink's metadata field."""
    content, _, kept = source.rpartition(_KEPT)
    if content and kept.endswith(b"}}"):
        return str(content, "utf-8") + "}"
    # Another client wrote the document and ordered the fields differently.
    fields = msgspec.json.decode(source, type=dict[str, msgspec.Raw])
    fields.pop(METADATA_FIELD, None)
    return msgspec.json.encode(fields).decode()
