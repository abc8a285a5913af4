"""Manual edits of read models, through the stores' own protocols."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import closing

import orjson
from redis import Redis

from pipeline.stores.duckdb.read_model import open_duckdb
from sinks.redis.store import RedisStore
from tests.acceptance.expected import Document
from tests.acceptance.models import HTTP
from tests.acceptance.pipeline_fixture import Pipeline


class StoreByHand(ABC):
    """The documents of orders in one store."""

    @abstractmethod
    def get(self, order_id: int) -> bytes | None:
        """Return the stored content of this id."""

    @abstractmethod
    def put(self, order_id: int, content: bytes) -> None:
        """Replace the stored content."""

    @abstractmethod
    def delete(self, order_id: int) -> None:
        """Delete the document."""

    def change(self, order_id: int, change: Callable[[Document], object]) -> None:
        """Change a document's content."""
        content = self.get(order_id)
        assert content is not None
        document = orjson.loads(content)
        change(document)
        self.put(order_id, orjson.dumps(document))

    def copy(self, order_id: int, other_id: int) -> None:
        """Copy a document to another id."""
        content = self.get(order_id)
        assert content is not None
        self.put(other_id, content)


class RedisByHand(StoreByHand):
    """Strings in the database of one generation."""

    def __init__(self, pipeline: Pipeline, generation: int) -> None:
        self._client = Redis.from_url(pipeline.endpoints.redis)
        with closing(RedisStore(pipeline.settings.redis.url, [])) as store:
            self._client.connection_pool.connection_kwargs["db"] = store.database(generation)

    def get(self, order_id: int) -> bytes | None:
        content = self._client.get(f"orders:{order_id}")
        assert content is None or isinstance(content, bytes)
        return content

    def put(self, order_id: int, content: bytes) -> None:
        self._client.set(f"orders:{order_id}", content)

    def delete(self, order_id: int) -> None:
        self._client.delete(f"orders:{order_id}")

    def forget(self, order_id: int) -> None:
        """Delete the document together with the versions of the document and its items."""
        self._client.delete(f"orders:{order_id}", f"{{orders:{order_id}}}:r")


class ElasticsearchByHand(StoreByHand):
    """Sources in the index of one generation."""

    def __init__(self, pipeline: Pipeline, generation: int) -> None:
        self._documents = f"{pipeline.endpoints.elasticsearch}/orders-{generation:06}"

    def get(self, order_id: int) -> bytes | None:
        answer = HTTP.request("GET", f"{self._documents}/_source/{order_id}")
        return answer.data if answer.status == 200 else None

    def put(self, order_id: int, content: bytes) -> None:
        headers = {"content-type": "application/json"}
        answer = HTTP.request("PUT", f"{self._documents}/_doc/{order_id}", body=content, headers=headers)
        assert answer.status < 300, answer.data

    def delete(self, order_id: int) -> None:
        HTTP.request("DELETE", f"{self._documents}/_doc/{order_id}")


BY_HAND: dict[str, Callable[[Pipeline, int], StoreByHand]] = {
    "elasticsearch": ElasticsearchByHand,
    "redis": RedisByHand,
}


def damage_duckdb(pipeline: Pipeline, generation: int, *statements: str) -> None:
    """Change the file of one generation; each statement changes one row, and no worker may have the file open."""
    with closing(open_duckdb(pipeline.settings)) as store, store.connection(generation) as connection:
        for statement in statements:
            assert connection.execute(statement).fetchall() == [(1,)], statement
