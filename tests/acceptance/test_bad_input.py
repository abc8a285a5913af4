"""Tests of unreadable records, written into the log by a foreign producer, and of an unavailable registry."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3

from stack.paths import LOOPBACK, free_ports
from tests.acceptance.cli_runner import MODELS
from tests.acceptance.pipeline_fixture import Pipeline
from tests.acceptance.secondary_models import SidePipeline
from tests.acceptance.shop import place
from tests.support.redis_server import OwnServer
from tests.support.relays import CLEAR, Disturbance, Relays

HTTP = urllib3.PoolManager()

SPOILED: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "truncated": (lambda value: value[:-20], "the body ends before its schema does"),
    "json": (lambda _: b'{"op": "c", "after": {"id": 1}}', "is JSON, but this topic is declared to hold Avro"),
}
"""Replacements of a good value, and the reported reason for each; `test_decode_avro.py` has the other kinds."""


@pytest.fixture
def redis() -> Iterator[OwnServer]:
    server = OwnServer().start()
    yield server
    server.stop()


@pytest.fixture
def side(
    deployed: Pipeline, redis: OwnServer, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[SidePipeline]:
    """Yield a second set of read models; the workers of the others are stopped."""
    name = f"side-{request.param}"
    made = SidePipeline(deployed, name, redis, tmp_path)
    yield made
    made.remove()


@pytest.mark.parametrize(("side", "kind"), [(kind, kind) for kind in SPOILED], indirect=["side"])
def test_workers_stop_before_a_record_that_cannot_be_read(
    deployed: Pipeline, side: SidePipeline, kind: str, order_id: int
) -> None:
    spoil, reason = SPOILED[kind]
    place(deployed.source, order_id)
    contents = deployed.logged()
    side.copy_log()
    partition, key, good = side.record_of(order_id)
    run = side.start()
    side.catch_up(run)
    offset = side.write(partition, key, spoil(good))
    side.write(partition, key, good)
    topic_partition = (f"side-{kind}.public.orders", partition)
    for model in MODELS:
        [said] = run.says(
            'event="worker failed"',
            f"model={model}",
            f"{topic_partition[0]}/{topic_partition[1]} offset {offset}: ",
            reason,
        )
        assert "remedy=" in said
    assert run.process.wait(60) == 1
    assert {model: side.progress(model)[topic_partition] for model in MODELS} == dict.fromkeys(MODELS, offset)
    side.require_equal(contents)


@pytest.mark.parametrize("side", ["unknown"], indirect=True)
def test_an_unknown_schema_id_pauses_until_the_registry_knows_it(
    deployed: Pipeline, side: SidePipeline, order_id: int
) -> None:
    place(deployed.source, order_id)
    contents = deployed.logged()
    side.copy_log()
    partition, key, good = side.record_of(order_id)
    schema = known_schema(deployed, int.from_bytes(good[1:5], "big"))
    next_id = register(deployed, {**schema, "doc": "one before"}) + 1
    run = side.start()
    topic_partition = ("side-unknown.public.orders", partition)
    offset = side.write(partition, key, b"\x00" + next_id.to_bytes(4, "big") + good[5:])
    for model in MODELS:
        run.says("event=retrying", f"model={model}", f"does not know schema {next_id}")
    assert run.workers().keys() == set(MODELS)
    assert register(deployed, {**schema, "doc": "the one that was unknown"}) == next_id
    side.catch_up(run)
    for model in MODELS:
        run.says("event=recovered", f"model={model}")
    assert run.end() == 0
    assert {model: side.progress(model)[topic_partition] for model in MODELS} == dict.fromkeys(MODELS, offset + 1)
    side.require_equal(contents)


def test_a_silent_registry_pauses_the_workers_until_it_answers(deployed: Pipeline, order_id: int) -> None:
    deployed.end()
    place(deployed.source, order_id)
    url = urllib3.util.parse_url(deployed.endpoints.schema_registry)
    [port] = free_ports(1)
    with Relays({"registry": port}, {"registry": url.port or 80}) as relays:
        relays.disturb("registry", Disturbance(is_stuck=True))
        address = f"http://{LOOPBACK}:{port}{url.path}"
        run = deployed.start(environment={"READMODELS_SCHEMA_REGISTRY__URL": address})
        for model in MODELS:
            run.says("event=retrying", f"model={model}", "no answer about schema")
        assert run.workers().keys() == set(MODELS)
        relays.disturb("registry", CLEAR)
        assert order_id in deployed.settled().documents
        deployed.end()
    assert run.lines("level=error") == []


def known_schema(pipeline: Pipeline, schema_id: int) -> dict[str, Any]:
    answer = HTTP.request("GET", f"{pipeline.endpoints.schema_registry}/schemas/ids/{schema_id}").json()
    schema: dict[str, Any] = json.loads(answer["schema"])
    return schema


def register(pipeline: Pipeline, schema: dict[str, Any]) -> int:
    """Register a schema under a subject of this test's own, and return its id."""
    url = f"{pipeline.endpoints.schema_registry}/subjects/acceptance-{schema['doc'].replace(' ', '-')}/versions"
    answer = HTTP.request("POST", url, json={"schema": json.dumps(schema)})
    assert answer.status == 200, answer.data
    return int(answer.json()["id"])
