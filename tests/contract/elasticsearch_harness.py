"""Contract harness of the Elasticsearch sink, read by search through the alias that its readers use."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any
from urllib.request import Request, urlopen
from uuid import uuid4

from sinks.elasticsearch.store import ElasticsearchStore, IndexSettings, connect
from sinks.shape import DocumentShape, Shape
from tests.contract.store_harness import Contents, Form


class ElasticsearchSubject:
    """Indices with their own prefix in a running cluster.

    Args:
        url: URL of a node.
    """

    form = Form.DOCUMENTS

    def __init__(self, url: str) -> None:
        self.url = url
        self.prefix = f"test-{uuid4().hex[:12]}-"
        self.client = connect(url, request_timeout_s=30)

    def store(self, shapes: Sequence[Shape]) -> ElasticsearchStore:
        documents = [shape for shape in shapes if isinstance(shape, DocumentShape)]
        return ElasticsearchStore(self.client, documents, IndexSettings(prefix=self.prefix))

    def read(self, shapes: Sequence[Shape]) -> Contents:
        return {shape.target: self._documents(shape.target) for shape in shapes}

    def http(self, method: str, path: str, body: object = None) -> Any:
        """Send a plain HTTP request to the cluster; numbers in the answer are not rounded.

        Args:
            path: the path after the subject's prefix.
        """
        sent = None if body is None else json.dumps(body).encode()
        request = Request(f"{self.url}/{self.prefix}{path}", sent, {"content-type": "application/json"}, method=method)
        with urlopen(request, timeout=30) as answer:
            return json.loads(answer.read(), parse_float=Decimal)

    def close(self) -> None:
        for index in self.http("GET", "*/_alias?expand_wildcards=all"):
            self.http("DELETE", index.removeprefix(self.prefix))
        self.client.close()

    def _documents(self, name: str) -> dict[str, Mapping[str, Any]]:
        self.http("POST", f"{name}/_refresh")
        found = self.http("POST", f"{name}/_search?size=10000")["hits"]["hits"]
        return {hit["_id"]: _content(hit["_source"]) for hit in found}


def _content(source: dict[str, Any]) -> dict[str, Any]:
    return {field: value for field, value in source.items() if field != "readmodels"}
