"""Elasticsearch store: one search document per root row, one index per document type and generation.

    orders-000007         the index: documents, and their progress and range tombstones
    orders-000007-write   its write alias: a write can never create an index again that was deleted
    orders                the readers' alias of the live generation's index; it shows living documents only

A GET by id through the readers' alias ignores its filter and also finds a deleted document, without content. Use a
search instead, or check `readmodels.kind`.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec
from elasticsearch import Elasticsearch

from sinks.batch import Batch, Progress
from sinks.elasticsearch.client import EsClient, connect, to_sink_error
from sinks.elasticsearch.codec import VISIBLE
from sinks.elasticsearch.document_index import DocumentIndex
from sinks.elasticsearch.mapping import IndexSettings, InvalidMapping
from sinks.elasticsearch.metadata import read_generations
from sinks.elasticsearch.scan import kind_query
from sinks.elasticsearch.versioned_index import WriteStats
from sinks.epoch import Epoch
from sinks.errors import GenerationInUse, GenerationMissing, SinkError
from sinks.generation import NO_METADATA, GenerationMetadata, utc_now
from sinks.rejection import Rejections
from sinks.shape import DocumentShape, Shape

__all__ = ["ElasticsearchSink", "ElasticsearchStore", "IndexSettings", "InvalidMapping", "WriteStats", "connect"]

_NOT_FOUND = 404
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,199}")
_DEFAULTS = IndexSettings()


class _Bytes(msgspec.Struct):
    size_in_bytes: int


class _Store(msgspec.Struct):
    store: _Bytes


class _Total(msgspec.Struct):
    total: _Store


class _Stats(msgspec.Struct, rename={"all": "_all"}):
    all: _Total


class AliasesAstray(GenerationMissing):
    """A readers' alias points to an index that does not belong to the newest generation shown.

    Args:
        astray: each such index, with its alias.
    """

    def __init__(self, astray: Sequence[tuple[str, str]]) -> None:
        super().__init__(
            f"alias points to the wrong index: {', '.join(f'{alias} to {index}' for index, alias in astray)}"
        )
        requests = ", ".join(f"DELETE /{index}/_alias/{alias}" for index, alias in astray)
        self.remedy = f"Send Elasticsearch {requests}. Then run `readmodels init`, and start the worker again."


class AliasTaken(SinkError):
    """An index has the name of a readers' alias, such as one that a write to the missing alias created.

    Args:
        alias: the name.
    """

    def __init__(self, alias: str) -> None:
        super().__init__(f"an index has the name of the alias {alias}")
        self.remedy = (
            f"If the index is not needed, send Elasticsearch `DELETE /{alias}`; otherwise reindex it under another "
            "name first. Then run `readmodels init`."
        )


class ElasticsearchStore:
    """All generations of some documents in one cluster.

    Args:
        client: from `connect`.
        shapes: the documents.
        settings: used for every index that is created.

    Raises:
        InvalidMapping: a document's name cannot be an index name.
    """

    def __init__(
        self,
        client: Elasticsearch,
        shapes: Sequence[DocumentShape],
        settings: IndexSettings = _DEFAULTS,
    ) -> None:
        self._cluster = EsClient(client)
        self._settings = settings
        self._shapes = {f"{settings.prefix}{shape.name}": shape for shape in shapes}
        for alias in self._shapes:
            if not _NAME.fullmatch(alias):
                raise InvalidMapping(f"{alias!r} cannot be the name of an index")

    def generations(self) -> dict[int, GenerationMetadata]:
        found: dict[int, list[GenerationMetadata]] = {}
        for alias in self._shapes:
            for index, record in read_generations(self._cluster, f"{alias}-*").items():
                number = _generation_of(index, alias)
                if number is not None:
                    found.setdefault(number, []).append(record)
        return {number: _of_all(found[number]) for number in sorted(found)}

    def live(self) -> int | None:
        shown = {alias: indices_shown(self._cluster, alias) for alias in self._shapes}
        numbers = {index: _generation_of(index, alias) for alias, indices in shown.items() for index in indices}
        newest = max((number for number in numbers.values() if number is not None), default=None)
        if others := [index for index, number in numbers.items() if number is None or number != newest]:
            raise AliasesAstray([(index, alias) for alias in shown for index in shown[alias] if index in others])
        hidden = [alias for alias, indices in shown.items() if newest is not None and not indices]
        # An alias without an index belongs to a document that was defined after this generation was created.
        return None if any(self._is_there(index_name(alias, newest or 0)) for alias in hidden) else newest

    def sink(self, generation: int) -> ElasticsearchSink:
        made_of = self.generations().get(generation, NO_METADATA).shapes
        return self._sink(generation, made_of or tuple(self._shapes.values()))

    def _sink(self, generation: int, shapes: Iterable[Shape]) -> ElasticsearchSink:
        indices = {}
        for shape in shapes:
            assert isinstance(shape, DocumentShape)
            alias = f"{self._settings.prefix}{shape.name}"
            indices[alias] = DocumentIndex(self._cluster, index_name(alias, generation), shape, self._settings)
        return ElasticsearchSink(self._cluster, indices)

    def create(self, generation: int, record: GenerationMetadata) -> None:
        self._sink(generation, record.shapes or self._shapes.values()).prepare(record)

    def check_indices(self) -> None:
        """Create and delete an index of every document that declares settings or mappings, to have them checked.

        Raises:
            InvalidOverride: Elasticsearch does not accept them.
        """
        for alias, shape in self._shapes.items():
            if shape.index:
                name = f"{alias}-check-{secrets.token_hex(8)}"
                try:
                    DocumentIndex(self._cluster, name, shape, self._settings).prepare()
                finally:
                    self._cluster.request_raw("DELETE", f"/{name}")

    def mark_complete(self, generation: int, filled_per_s: float = 0.0) -> None:
        for alias, shape in self._shapes.items():
            settings = {"index": self._settings.of_document(shape).serving_settings()}
            self._cluster.request("PUT", f"/{index_name(alias, generation)}/_settings", dict[str, Any], settings)
        self.sink(generation).complete(filled_per_s)

    def mark_rejected(self, generation: int) -> None:
        self.sink(generation).record_metadata(GenerationMetadata.as_rejected)

    def record_epoch(self, generation: int, epoch: Epoch) -> None:
        self.sink(generation).record_metadata(lambda record: record.with_epoch(epoch))

    def drop(self, generation: int) -> None:
        if generation == self.live():
            raise GenerationInUse(f"generation {generation} of elasticsearch is live")
        self._remove(generation)

    def drop_all(self) -> None:
        for generation in self.generations():
            self._remove(generation)

    def size_bytes(self, generation: int) -> int:
        names = ",".join(index_name(alias, generation) for alias in self._shapes)
        params = {"forbid_closed_indices": "false"}
        found = self._cluster.request("GET", f"/{names}/_stats/store", _Stats, params=params)
        return found.all.total.store.size_in_bytes

    def rejections(self, generation: int) -> Rejections:
        found = self.sink(generation).rejections()
        return Rejections(sum(one.count for one in found), tuple(one for some in found for one in some.first))

    def _remove(self, generation: int) -> None:
        for alias in self._shapes:
            name = index_name(alias, generation)
            answer = self._cluster.request_raw("DELETE", f"/{name}")
            if answer.status >= 300 and not answer.cause.is_missing_index:
                raise to_sink_error(answer.status, answer.cause, name)

    def _is_there(self, index: str) -> bool:
        return self._cluster.request_raw("GET", f"/{index}/_alias").status < 300


class ElasticsearchSink:
    """Sink of one generation: an index for each document type, each with its own progress.

    Args:
        indices: by the readers' alias of the document type.
    """

    def __init__(self, cluster: EsClient, indices: Mapping[str, DocumentIndex]) -> None:
        self._cluster = cluster
        self._indices = dict(indices)

    @property
    def stats(self) -> dict[str, WriteStats]:
        """Write statistics by index name."""
        return {one.index.name: one.index.tally for one in self._indices.values()}

    def prepare(self, record: GenerationMetadata | None = None) -> None:
        for index in self._indices.values():
            index.prepare(record)

    def progress(self) -> Progress:
        known = [index.progress() for index in self._indices.values()]
        topic_partitions = {topic_partition for progress in known for topic_partition in progress.offsets}
        return Progress(
            {
                topic_partition: min(progress.next_offset(topic_partition) for progress in known)
                for topic_partition in topic_partitions
            }
        )

    def write(self, batch: Batch) -> None:
        for index in self._indices.values():
            index.write(batch)

    def rejections(self) -> list[Rejections]:
        """Return the rejected documents of each index."""
        return [index.rejections() for index in self._indices.values()]

    def record_metadata(self, change: Callable[[GenerationMetadata], GenerationMetadata]) -> None:
        """Change the metadata of this generation."""
        for index in self._indices.values():
            index.record_metadata(change)

    def complete(self, filled_per_s: float) -> None:
        """Refresh all indices, then record that this generation is complete."""
        for index in self._indices.values():
            index.refresh()
        self.record_metadata(lambda record: record.as_complete(filled_per_s))

    def cutover(self) -> None:
        for index in self._indices.values():
            index.refresh_at_intervals()
            index.refresh()
        actions: list[dict[str, Any]] = []
        for alias, index in self._indices.items():
            # The pattern does not match a closed index, so the current indices are also named.
            for name in (f"{alias}-*", *indices_shown(self._cluster, alias)):
                actions.append({"remove": {"index": name, "alias": alias, "must_exist": False}})
            shown = {"index": index.index.name, "alias": alias, "filter": kind_query(VISIBLE), "is_write_index": False}
            actions.append({"add": shown})
        answer = self._cluster.request_raw("POST", "/_aliases", {"actions": actions})
        if answer.status >= 300:
            if answer.cause.type == "invalid_alias_name_exception":
                taken = [alias for alias in self._indices if f"[{alias}]" in (answer.cause.reason or "")]
                raise AliasTaken(",".join(taken or self._indices))
            raise to_sink_error(answer.status, answer.cause, "/_aliases")
        moment = utc_now()
        self.record_metadata(lambda record: record.as_shown(moment))


def indices_shown(cluster: EsClient, alias: str) -> list[str]:
    """Return the indices to which a readers' alias points."""
    path = f"/_alias/{alias}"
    answer = cluster.request_raw("GET", path)
    if answer.status == _NOT_FOUND:
        return []
    if answer.status >= 300:
        raise to_sink_error(answer.status, answer.cause, path)
    return list(answer.read(dict[str, msgspec.Raw], path))


def index_name(alias: str, generation: int) -> str:
    """Return the index name of a readers' alias in one generation."""
    return f"{alias}-{generation:06d}"


def _generation_of(index: str, alias: str) -> int | None:
    found = re.fullmatch(rf"{re.escape(alias)}-(\d{{6,}})", index)
    return int(found[1]) if found else None


def _of_all(records: Sequence[GenerationMetadata]) -> GenerationMetadata:
    """Combine the metadata of a generation's indices, which are updated one after the other."""
    return replace(
        records[0],
        is_complete=all(record.is_complete for record in records),
        is_rejected=any(record.is_rejected for record in records),
        epochs=min((record.epochs for record in records), key=len),
    )
