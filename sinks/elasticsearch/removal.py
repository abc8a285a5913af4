"""Indices with generation metadata, of any name, and their removal."""

from __future__ import annotations

import re

from elasticsearch import Elasticsearch

from sinks.elasticsearch.client import EsClient, to_sink_error
from sinks.elasticsearch.mapping import METADATA_FIELD
from sinks.elasticsearch.metadata import IndexWithMetadata, read_generation_metadata
from sinks.generation import GenerationMetadata
from sinks.shape import DocumentShape

_INDEX = re.compile(r"(?P<document>.+)-(?P<generation>\d{6,})")


class RecordedIndices:
    """All indices of a cluster that have generation metadata.

    Args:
        client: from `sinks.elasticsearch.client.connect`.
    """

    def __init__(self, client: Elasticsearch) -> None:
        self._cluster = EsClient(client)

    def read(self) -> dict[str, GenerationMetadata]:
        """Read the metadata, by index name."""
        # Only the metadata is requested, because the mappings of other users may be large.
        params = {"expand_wildcards": "all", "filter_path": f"*.mappings._meta.{METADATA_FIELD}"}
        found = self._cluster.request("GET", "/*/_mapping", dict[str, IndexWithMetadata], params=params)
        return {name: read_generation_metadata(index) for name, index in sorted(found.items())}

    def remove(self, index: str) -> None:
        """Delete an index, and with it the aliases that point to it."""
        answer = self._cluster.request_raw("DELETE", f"/{index}")
        if answer.status >= 300 and not answer.cause.is_missing_index:
            raise to_sink_error(answer.status, answer.cause, index)


def generation_of(index: str, record: GenerationMetadata) -> tuple[str, int] | None:
    """Return the document name and the generation number in the name of an index.

    None if the generation does not use such a name; then the index is a copy made by a user.
    """
    found = _INDEX.fullmatch(index)
    documents = {shape.name for shape in record.shapes if isinstance(shape, DocumentShape)}
    if found is None or found["document"] not in documents:
        return None
    return found["document"], int(found["generation"])
