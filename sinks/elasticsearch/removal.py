"""Indices that hold the metadata of a generation, whatever their names, and their removal."""

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
    """All indices of a cluster that hold the metadata of a generation.

    Args:
        client: from `sinks.elasticsearch.client.connect`.
    """

    def __init__(self, client: Elasticsearch) -> None:
        self._cluster = EsClient(client)

    def read(self) -> dict[str, GenerationMetadata]:
        """Read the metadata, by the name of the index."""
        # Only metadata is asked for: another user's mappings may be large.
        params = {"expand_wildcards": "all", "filter_path": f"*.mappings._meta.{METADATA_FIELD}"}
        found = self._cluster.request("GET", "/*/_mapping", dict[str, IndexWithMetadata], params=params)
        return {name: read_generation_metadata(index) for name, index in sorted(found.items())}

    def remove(self, index: str) -> None:
        """Delete an index, and with it the aliases that lead to it."""
        answer = self._cluster.request_raw("DELETE", f"/{index}")
        if answer.status >= 300 and not answer.cause.is_missing_index:
            raise to_sink_error(answer.status, answer.cause, index)


def generation_of(index: str, record: GenerationMetadata) -> tuple[str, int] | None:
    """The document and the number of the generation in the name of an index.

    None if the name is not one that the generation gives its indices: then the index is a copy that somebody made.
    """
    found = _INDEX.fullmatch(index)
    documents = {shape.name for shape in record.shapes if isinstance(shape, DocumentShape)}
    if found is None or found["document"] not in documents:
        return None
    return found["document"], int(found["generation"])
