"""Read models changed by hand, by the stores' own protocols, and put back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import orjson
from redis import Redis

from tests.acceptance.models import HTTP
from tests.acceptance.truth import Document

INDEX = "orders-000001"


class StoreByHand(ABC):
    """The documents of orders in one store."""

    @abstractmethod
    def get(self, order_id: int) -> bytes | None:
        """What the store keeps under this id."""

    @abstractmethod
    def put(self, order_id: int, content: bytes) -> None:
        """Keep something else."""

    @abstractmethod
    def delete(self, order_id: int) -> None:
        """Keep nothing."""

    def change(self, order_id: int, change: Callable[[Document], object]) -> None:
        """Change a document's content."""
        content = self.get(order_id)
        assert content is not None
        document = orjson.loads(content)
        change(document)
        self.put(order_id, orjson.dumps(document))

    def copy(self, order_id: int, other_id: int) -> None:
        """Keep a document under another id as well."""
        content = self.get(order_id)
        assert content is not None
        self.put(other_id, content)

    @contextmanager
    def restored(self, *order_ids: int) -> Iterator[None]:
        """Put back what is kept under these ids, once the block has ended."""
        kept = {order_id: self.get(order_id) for order_id in order_ids}
        try:
            yield
        finally:
            for order_id, content in kept.items():
                if content is None:
                    self.delete(order_id)
                else:
                    self.put(order_id, content)


class RedisByHand(StoreByHand):
    """Strings in database 0."""

    def __init__(self, client: Redis) -> None:
        self._client = client

    def get(self, order_id: int) -> bytes | None:
        content = self._client.get(f"orders:{order_id}")
        assert content is None or isinstance(content, bytes)
        return content

    def put(self, order_id: int, content: bytes) -> None:
        self._client.set(f"orders:{order_id}", content)

    def delete(self, order_id: int) -> None:
        self._client.delete(f"orders:{order_id}")


class ElasticsearchByHand(StoreByHand):
    """Sources in the index of the first generation."""

    def __init__(self, url: str) -> None:
        self._documents = f"{url}/{INDEX}"

    def get(self, order_id: int) -> bytes | None:
        answer = HTTP.request("GET", f"{self._documents}/_source/{order_id}")
        return answer.data if answer.status == 200 else None

    def put(self, order_id: int, content: bytes) -> None:
        headers = {"content-type": "application/json"}
        answer = HTTP.request("PUT", f"{self._documents}/_doc/{order_id}", body=content, headers=headers)
        assert answer.status < 300, answer.data

    def delete(self, order_id: int) -> None:
        HTTP.request("DELETE", f"{self._documents}/_doc/{order_id}")
