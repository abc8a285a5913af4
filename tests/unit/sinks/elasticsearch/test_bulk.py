"""Tests that one rejected write is distinguished from a cluster that is out of memory for all."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, cast

import pytest

from sinks.elasticsearch.bulk import BulkResult, BulkWrite, bulk_write
from sinks.elasticsearch.client import EsClient, Response
from sinks.errors import StoreUnavailable

Refuse = Callable[[list[str], int], str | None]
"""Given the ids of a request and its length: the reason why memory is short for all of it, or None."""

SIZES = "rejected execution of primary operation [all_bytes=0, primary_operation_bytes={}, max_primary_bytes={}]"
BREAKER = "[parent] Data too large, data for [<http_request>] would be larger than the limit"


class Refusing:
    """A cluster that lacks memory for some requests, or for some items of one."""

    max_request_bytes = 100 * 2**20

    def __init__(self, request: Refuse = lambda *_: None, item: Refuse = lambda *_: None) -> None:
        self._request = request
        self._item = item
        self.requests: list[list[str]] = []

    def request_raw(self, _method: str, _path: str, body: bytes, _params: object) -> Response:
        actions = [line for line in map(json.loads, body.splitlines()) if line.keys() & {"create", "index", "delete"}]
        ids = [next(iter(action.values()))["_id"] for action in actions]
        self.requests.append(ids)
        if reason := self._request(ids, len(body)):
            return Response(429, json.dumps({"error": _error(reason)}).encode())
        return Response(200, json.dumps({"items": [{"create": self._answered(id_)} for id_ in ids]}).encode())

    def _answered(self, id_: str) -> dict[str, Any]:
        reason = self._item([id_], 0)
        return {"status": 429, "error": _error(reason)} if reason else {"status": 201}


def _error(reason: str) -> dict[str, str]:
    kind = "circuit_breaking_exception" if reason == BREAKER else "es_rejected_execution_exception"
    return {"type": kind, "reason": reason}


@pytest.fixture(autouse=True)
def briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sinks.elasticsearch.bulk._PAUSE_ALONE_S", 0)


def sent(cluster: Refusing, ids: list[str]) -> BulkResult:
    return bulk_write(cast("EsClient", cluster), "orders-write", [BulkWrite(id_, b'{"id":1}', None) for id_ in ids])


def refused(outcomes: BulkResult) -> list[str]:
    assert not outcomes.failed
    return [refusal.write.id for refusal in outcomes.refused]


IDS = [str(number) for number in range(20)]


@pytest.mark.parametrize("reason", [SIZES.format(200, 100), BREAKER, ""])
def test_a_write_that_is_refused_alone_while_others_are_taken_is_refused_for_what_it_is(reason: str) -> None:
    outcomes = sent(Refusing(item=lambda ids, _: reason or "busy" if ids == ["7"] else None), IDS)
    assert refused(outcomes) == ["7"]
    assert sorted(outcomes.done) == sorted({*IDS} - {"7"})


def test_a_request_is_taken_apart_until_the_write_that_is_too_large_stands_alone() -> None:
    cluster = Refusing(request=lambda ids, _: SIZES.format(200, 100) if "7" in ids else None)
    outcomes = sent(cluster, IDS)
    assert refused(outcomes) == ["7"]
    assert sorted(outcomes.done) == sorted({*IDS} - {"7"})
    assert len(cluster.requests) < len(IDS)


def test_requests_that_are_too_large_together_are_taken_one_after_the_other() -> None:
    outcomes = sent(Refusing(request=lambda ids, _: SIZES.format(200, 100) if len(ids) > 4 else None), IDS)
    assert refused(outcomes) == []
    assert sorted(outcomes.done) == sorted(IDS)


@pytest.mark.parametrize("reason", [SIZES.format(50, 100), BREAKER, "busy"])
def test_a_cluster_without_memory_for_anybody_is_waited_for(reason: str) -> None:
    cluster = Refusing(request=lambda *_: reason)
    outcomes = sent(cluster, IDS)
    assert outcomes.refused == []
    assert len(cluster.requests) < len(IDS)
    with pytest.raises(StoreUnavailable) as waiting:
        raise outcomes.failed[0].error("orders")
    assert "more heap" in waiting.value.remedy


def test_a_write_that_fits_is_never_refused_however_busy_the_cluster_is_with_others() -> None:
    outcomes = sent(Refusing(item=lambda ids, _: SIZES.format(50, 100) if ids == ["7"] else None), IDS)
    assert outcomes.refused == []
    assert [failure.write.id for failure in outcomes.failed] == ["7"]


def test_a_request_above_the_clusters_own_limit_is_not_even_sent() -> None:
    cluster = Refusing()
    cluster.max_request_bytes = 20 * 2**20
    outcomes = bulk_write(cast("EsClient", cluster), "orders-write", [BulkWrite("1", b"x" * 21 * 2**20, None)])
    assert refused(outcomes) == ["1"]
    assert cluster.requests == []
