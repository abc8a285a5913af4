"""Contents of the three read models, read by the protocols that their readers use."""

from __future__ import annotations

from typing import Any

import urllib3
from redis import Redis

from pipeline.config import Settings
from pipeline.query.query import run_query
from stack.endpoints import Endpoints
from tests.acceptance.expected import AMOUNTS, ITEMS, MOMENTS, OBJECTS, ORDERS, Document, Row, exactly, stored_json

HTTP = urllib3.PoolManager()
PAGE = 1000


def found_in_elasticsearch(endpoints: Endpoints, index: str = "orders") -> dict[int, Document]:
    """Return every document that a search through the readers' alias finds."""
    HTTP.request("POST", f"{endpoints.elasticsearch}/{index}/_refresh")
    found: dict[int, Document] = {}
    after: dict[str, Any] = {}
    while True:
        search = {"size": PAGE, "sort": [{"id": "asc"}], "query": {"match_all": {}}, **after}
        answer = HTTP.request("POST", f"{endpoints.elasticsearch}/{index}/_search", json=search)
        assert answer.status == 200, answer.data[:1000]
        hits = exactly(answer.data)["hits"]["hits"]
        for hit in hits:
            document = {name: value for name, value in hit["_source"].items() if name != "readmodels"}
            assert hit["_id"] == str(document["id"])
            found[document["id"]] = document
        if not hits:
            return found
        after = {"search_after": hits[-1]["sort"]}


def got_from_redis(url: str, name: str = "orders") -> dict[int, Document]:
    """Return every document that a GET returns."""
    with Redis.from_url(url) as client:
        keys = list(client.scan_iter(f"{name}:*", PAGE))
        values = [client.get(key) for key in keys]
    return {int(key.partition(b":")[2]): exactly(value) for key, value in zip(keys, values, strict=True)}


def selected_from_duckdb(settings: Settings) -> tuple[dict[int, Row], dict[int, Row]]:
    """Return every row of orders and of order_items."""
    return _selected(settings, "orders", ORDERS), _selected(settings, "order_items", ITEMS)


def _selected(settings: Settings, table: str, columns: tuple[str, ...]) -> dict[int, Row]:
    chosen = ", ".join(_exact(name) for name in columns)
    rows = run_query(settings, f"SELECT {chosen} FROM {table}").to_pylist()
    return {
        row["id"]: {name: stored_json(value) if name in OBJECTS else value for name, value in row.items()}
        for row in rows
    }


def _exact(name: str) -> str:
    if name in MOMENTS:
        return f"CASE WHEN isfinite({name}) THEN epoch_us({name})::VARCHAR ELSE {name}::VARCHAR END AS {name}"
    return f"{name}::VARCHAR AS {name}" if name in AMOUNTS | OBJECTS else name
