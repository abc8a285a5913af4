"""Contract harness of the Redis sink, read by plain GET as its readers do."""

from __future__ import annotations

import json
from collections.abc import Sequence

from sinks.redis.store import RedisStore
from sinks.shape import DocumentShape, Shape
from tests.contract.store_harness import Contents, Form
from tests.support.redis_server import shared_server


class RedisSubject:
    """A Redis server of the tests' own, emptied."""

    form = Form.DOCUMENTS

    def __init__(self) -> None:
        self._server = shared_server()
        self._client = self._server.client()
        self._store: RedisStore | None = None
        self._client.flushall()

    def store(self, shapes: Sequence[Shape]) -> RedisStore:
        documents = [shape for shape in shapes if isinstance(shape, DocumentShape)]
        self._store = RedisStore(self._server.url, documents)
        return self._store

    def read(self, shapes: Sequence[Shape]) -> Contents:
        contents: Contents = {shape.target: {} for shape in shapes}
        for shape in shapes:
            for key in self._client.scan_iter(f"{shape.target}:*"):
                text = self._client.get(key)
                assert isinstance(text, bytes)
                contents[shape.target][key.decode().removeprefix(f"{shape.target}:")] = json.loads(text)
        return contents

    def close(self) -> None:
        if self._store is not None:
            self._store.close()
        self._client.close()
