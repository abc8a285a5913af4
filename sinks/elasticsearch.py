"""The Elasticsearch sink: one search document per root row, one index per document and generation.

    orders-000007         the index: documents, and beside them progress and fences
    orders-000007-write   its write alias: a write can never bring an index into being that was deleted
    orders                the readers' alias, to the index of the live generation; it shows living documents only

A GET by id through the readers' alias does not apply its filter, and finds a dead document too, without content: ask
by search, or look at `readmodels.kind`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from elasticsearch import Elasticsearch

from sinks.batch import Batch, Progress
from sinks.elasticsearch_client import Cluster, connect, failure
from sinks.elasticsearch_document import VISIBLE
from sinks.elasticsearch_generation import GenerationIndex
from sinks.elasticsearch_index import Tally
from sinks.elasticsearch_mapping import IndexSettings, ShapeRefused
from sinks.elasticsearch_search import of_kind
from sinks.errors import GenerationMissing
from sinks.shape import DocumentShape

__all__ = ["ElasticsearchSink", "ElasticsearchStore", "IndexSettings", "ShapeRefused", "Tally", "connect"]

_NOT_FOUND = 404
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,199}")
_DEFAULTS = IndexSettings()


class ElasticsearchStore:
    """All generations of some documents in one cluster.

    Args:
        client: from `connect`.
        shapes: the documents.
        settings: for every index made from now on.

    Raises:
        ShapeRefused: a document's name cannot be the name of an index.
    """

    def __init__(
        self,
        client: Elasticsearch,
        shapes: Sequence[DocumentShape],
        settings: IndexSettings = _DEFAULTS,
    ) -> None:
        self._cluster = Cluster(client)
        self._settings = settings
        self._shapes = {f"{settings.prefix}{shape.name}": shape for shape in shapes}
        for alias in self._shapes:
            if not _NAME.fullmatch(alias):
                raise ShapeRefused(f"{alias!r} cannot be the name of an index")

    def generations(self) -> tuple[int, ...]:
        found: set[int] = set()
        for alias in self._shapes:
            path = f"/{alias}-*/_alias"
            indices = self._cluster.ask("GET", path, dict[str, msgspec.Raw], params={"expand_wildcards": "all"})
            numbers = (_generation_of(index, alias) for index in indices)
            found.update(number for number in numbers if number is not None)
        return tuple(sorted(found))

    def live(self) -> int | None:
        shown: set[int | None] = set()
        for alias in self._shapes:
            shown.update(_generation_of(index, alias) for index in self._indices_shown(alias))
        if not shown:
            return None
        if len(shown) > 1 or None in shown:
            raise GenerationMissing(f"the aliases {', '.join(self._shapes)} do not lead to one generation")
        return shown.pop()

    def sink(self, generation: int) -> ElasticsearchSink:
        return ElasticsearchSink(
            self._cluster,
            {
                alias: GenerationIndex(self._cluster, _index_name(alias, generation), shape, self._settings)
                for alias, shape in self._shapes.items()
            },
        )

    def drop(self, generation: int) -> None:
        for alias in self._shapes:
            name = _index_name(alias, generation)
            answer = self._cluster.answer("DELETE", f"/{name}")
            if answer.status >= 300 and not answer.reason.is_of_index:
                raise failure(answer.status, answer.reason, name)

    def clear(self) -> None:
        for generation in self.generations():
            self.drop(generation)

    def _indices_shown(self, alias: str) -> list[str]:
        path = f"/_alias/{alias}"
        answer = self._cluster.answer("GET", path)
        if answer.status == _NOT_FOUND:
            return []
        if answer.status >= 300:
            raise failure(answer.status, answer.reason, path)
        return list(msgspec.json.decode(answer.body, type=dict[str, msgspec.Raw]))


class ElasticsearchSink:
    """One generation: an index for each document, each with a progress of its own.

    Args:
        indices: by the alias under which readers know the document.
    """

    def __init__(self, cluster: Cluster, indices: Mapping[str, GenerationIndex]) -> None:
        self._cluster = cluster
        self._indices = dict(indices)

    @property
    def tallies(self) -> dict[str, Tally]:
        """Per index, what was written, left as it was, and met by another writer."""
        return {one.index.name: one.index.tally for one in self._indices.values()}

    def prepare(self) -> None:
        for index in self._indices.values():
            index.prepare()

    def progress(self) -> Progress:
        known = [index.progress() for index in self._indices.values()]
        shards = {shard for progress in known for shard in progress.offsets}
        return Progress({shard: min(progress.of(shard) for progress in known) for shard in shards})

    def write(self, batch: Batch) -> None:
        for index in self._indices.values():
            index.write(batch)

    def cutover(self) -> None:
        actions: list[dict[str, Any]] = []
        for alias, index in self._indices.items():
            actions.append({"remove": {"index": f"{alias}-*", "alias": alias, "must_exist": False}})
            shown = {"index": index.index.name, "alias": alias, "filter": of_kind(VISIBLE), "is_write_index": False}
            actions.append({"add": shown})
        self._cluster.ask("POST", "/_aliases", dict[str, Any], {"actions": actions})


def _index_name(alias: str, generation: int) -> str:
    return f"{alias}-{generation:06d}"


def _generation_of(index: str, alias: str) -> int | None:
    found = re.fullmatch(rf"{re.escape(alias)}-(\d{{6,}})", index)
    return int(found[1]) if found else None
