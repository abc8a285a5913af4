"""Tests of a rebuild under load: readers see no disturbance, and it can be rolled back."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import NewTopic

from pipeline import read_models
from pipeline.generations.cutover import GenerationCatchUpTimeout, GenerationNotServable, NoPreviousGeneration
from pipeline.generations.replay_in_place import OffsetBeyondEnd
from sinks.generation import GenerationState
from tests.acceptance.cli_runner import MODELS, Command
from tests.acceptance.generations import states, succeeds
from tests.acceptance.pipeline_fixture import Pipeline
from tests.acceptance.readers import MARKED_FIELD, MARKED_ITEM_FIELD, Shop, open_shop
from tests.acceptance.shop import place
from tests.remedies.commands import commands
from tests.support.checkout import CHECKOUT
from tests.support.waiting import wait_for

LONGEST_LAG_S = 5.0
"""Allowed increase of an answer's age at a cutover: the models' own lag on a busy machine."""


@pytest.fixture
def slimmer(pipeline: Pipeline, tmp_path: Path) -> Command:
    """Return the command with other definitions: orders and items have one column less each."""
    described = pipeline.command.config.read_text()
    for name in (MARKED_FIELD, MARKED_ITEM_FIELD):
        (line,) = [line for line in described.splitlines(keepends=True) if line.startswith(f"{name} = ")]
        described = described.replace(line, "")
    config = tmp_path / "readmodels.toml"
    config.write_text(described)
    return replace(pipeline.command, config=config)


@pytest.mark.timeout(1800)
def test_readers_are_not_affected_by_a_replay_a_cutover_a_rollback_and_a_second_cutover(
    rebuilt: Pipeline, slimmer: Command, order_id: int
) -> None:
    others = [order_id + 10, order_id + 20]
    for number in (order_id, *others):
        place(rebuilt.source, number, items=2)
    rebuilt.settle()
    with rebuilt.load(), open_shop(rebuilt, order_id, others) as shop:
        shop.sees(is_marked=True)
        for word, kind in (("rollback", NoPreviousGeneration), ("cutover", GenerationNotServable)):
            nothing_else = slimmer(word, "all", "--execute")
            assert (nothing_else.returncode, kind.__name__ in nothing_else.stderr) == (1, True)
        [rebuild] = commands(NoPreviousGeneration.remedy)
        assert commands(GenerationNotServable.remedy) == [["generations"], rebuild]
        succeeds(slimmer("generations"))
        succeeds(slimmer(*rebuild))
        shop.sees(is_marked=False)
        succeeds(rebuilt.command("rollback", "all", "--execute"))
        shop.sees(is_marked=True)
        succeeds(rebuilt.command("cutover", "all", "--execute"))
        shop.sees(is_marked=False)
        succeeds(rebuilt.command("rollback", "all", "--execute"))
        shop.sees(is_marked=True)
    nobody_noticed(shop, orders=1 + len(others))
    rebuilt.settled()


def nobody_noticed(shop: Shop, orders: int) -> None:
    """Check the readers' records: no error, no missing orders, no mixture of generations, no version going back."""
    for reader in shop.readers:
        assert len(reader.looks) > 50, f"{reader.name} read too little to tell: {reader.errors[:3]}"
        assert reader.errors == [], f"{reader.name} met {len(reader.errors)} errors"
        assert {look.count for look in reader.looks} == {orders}, f"{reader.name} missed orders"
        assert {len(look.is_marked) for look in reader.looks} == {1}, f"{reader.name} saw a mixture of generations"
        changes = sum(one.is_marked != other.is_marked for one, other in pairwise(reader.looks))
        assert changes == 4, f"{reader.name} saw {changes} changes of generations, not 4"
        regress_s = reader.worst_regress_s(shop.committed)
        assert regress_s < LONGEST_LAG_S, f"{reader.name} saw an order go back by {regress_s:.1f} s"


def test_a_model_that_was_damaged_is_rebuilt_and_equal(rebuilt: Pipeline, order_id: int) -> None:
    place(rebuilt.source, order_id, items=2)
    rebuilt.settle()
    with rebuilt.redis() as client:
        client.delete(f"orders:{order_id}", f"{{orders:{order_id}}}:r")
    assert rebuilt.command("verify", "redis").returncode == 3
    said = succeeds(rebuilt.command("replay", "redis", "--execute"))
    assert "is equal" in said
    succeeds(rebuilt.command("verify", "redis"))
    rebuilt.settled()


WRONG = """
import dataclasses
import pipeline.ingest.projection

right = pipeline.ingest.projection._parts

def wrong(document, collection, view, changes):
    mutations = right(document, collection, view, changes)
    shown = [bool(collection) or int(key) % 2 == 0 for key in mutations.changes["key"].to_pylist()]
    return dataclasses.replace(mutations, changes=mutations.changes.filter(shown))

pipeline.ingest.projection._parts = wrong
"""
"""A projection that omits every second order."""


def test_a_wrong_projection_is_found_and_never_shown(rebuilt: Pipeline, order_id: int, tmp_path: Path) -> None:
    for number in (order_id, order_id + 1):
        place(rebuilt.source, number)
    rebuilt.settle()
    before = rebuilt.live("redis")
    (tmp_path / "sitecustomize.py").write_text(WRONG)
    wrong = replace(rebuilt.command, environment={"PYTHONPATH": f"{tmp_path}:{CHECKOUT}"})
    refused = wrong("replay", "redis", "--execute", "--start-over")
    assert refused.returncode == 3, refused.stdout + refused.stderr
    [compare, rebuild] = commands(" ".join(refused.stdout.split()))[-2:]
    assert rebuilt.live("redis") == before
    assert GenerationState.REJECTED in states(rebuilt, "redis").values()
    rejected = max(states(rebuilt, "redis"))
    cutover = rebuilt.command("cutover", "redis", "--generation", str(rejected), "--execute")
    assert (cutover.returncode, rebuilt.live("redis")) == (1, before)
    assert "rejected" in cutover.stderr
    assert "missing" in rebuilt.command(*compare).stdout
    assert "is equal" in succeeds(rebuilt.command(*rebuild))
    assert rejected not in states(rebuilt, "redis")
    rebuilt.settled()


def test_the_cutover_waits_for_a_partition_that_is_held_back(rebuilt: Pipeline, tmp_path: Path) -> None:
    before = rebuilt.live("redis")
    group = read_models.consumer_group("redis", before + 1)
    settings = rebuilt.settings.kafka.with_client(
        group_id=group, partition_assignment_strategy="cooperative-sticky", enable_auto_commit=False
    )
    holder, until = Consumer(settings), threading.Event()
    holder.subscribe(list(rebuilt.settings.definitions.topics))
    joined = threading.Event()

    def hold() -> None:
        # The consumer is a member of the group with assigned partitions, and discards its records.
        while not until.is_set():
            holder.poll(0.1)
            if holder.assignment():
                joined.set()
        holder.close()

    thread = threading.Thread(target=hold)
    thread.start()
    assert joined.wait(60)
    with rebuilt.load():
        replay = rebuilt.command.start(tmp_path / "replay.log", "replay", "redis", "--execute")
        wait_for(lambda: states(rebuilt, "redis").get(before + 1), 60, replay.end_of_log)
        wait_for(lambda: _has_begun(rebuilt, before + 1), 60, replay.end_of_log)
        with pytest.raises(subprocess.TimeoutExpired):
            replay.process.wait(10)
        assert rebuilt.live("redis") == before
        until.set()
        thread.join()
        assert replay.process.wait(120) == 0, replay.end_of_log()
    assert rebuilt.live("redis") == before + 1
    rebuilt.settled()


def _has_begun(pipeline: Pipeline, generation: int) -> bool:
    with read_models.open_store("redis", pipeline.settings) as store:
        return any(store.sink(generation).progress().offsets.values())


@pytest.mark.parametrize("starts", [(), ("--to-offset", "10"), ("--to-datetime", "2026-01-01")])
def test_a_replay_in_place_changes_nothing_in_a_healthy_model(
    rebuilt: Pipeline, order_id: int, starts: Sequence[str]
) -> None:
    # Enough items that a partition has an offset 10, whichever tests ran before.
    place(rebuilt.source, order_id, items=200)
    rebuilt.settled()
    before = {model: rebuilt.progress(model) for model in MODELS}
    versions = rebuilt.command("sql", "--json", "SELECT count(*) AS n FROM orders_history").stdout
    with rebuilt.redis() as client:
        registers = {key: client.hgetall(key) for key in client.scan_iter("{orders:*}:r")}
    succeeds(rebuilt.command("replay", "all", "--in-place", *starts, "--execute"))
    assert {model: rebuilt.progress(model) for model in MODELS} == before
    assert rebuilt.command("sql", "--json", "SELECT count(*) AS n FROM orders_history").stdout == versions
    with rebuilt.redis() as client:
        assert {key: client.hgetall(key) for key in client.scan_iter("{orders:*}:r")} == registers
    rebuilt.equal()


def test_a_replay_in_place_restores_a_lost_document_from_the_log(rebuilt: Pipeline, order_id: int) -> None:
    place(rebuilt.source, order_id, items=2)
    rebuilt.settle()
    with rebuilt.redis() as client:
        client.delete(f"orders:{order_id}", f"{{orders:{order_id}}}:r")
    succeeds(rebuilt.command("replay", "redis", "--in-place", "--to-earliest", "--execute"))
    rebuilt.settled()


def test_start_offsets_are_only_allowed_in_place(rebuilt: Pipeline) -> None:
    succeeds(rebuilt.command("replay", "redis", "--to-earliest"))
    for option in (["--to-offset", "5"], ["--to-datetime", "2026-01-01"]):
        refused = rebuilt.command("replay", "redis", *option)
        assert refused.returncode == 2
        assert "in-place" in refused.stderr


def test_an_offset_beyond_the_log_is_replaced_by_one_that_the_plan_shows(rebuilt: Pipeline) -> None:
    in_place = ("replay", "redis", "--in-place", "--execute", "--to-offset")
    beyond = rebuilt.command(*in_place, "1000000000000")
    assert "OffsetBeyondEnd" in beyond.stderr
    [plan] = commands(OffsetBeyondEnd.remedy)
    told = json.loads(succeeds(rebuilt.command(*plan, "--json")))[0]["partitions"]
    succeeds(rebuilt.command(*in_place, str(max(one["to"] for one in told) - 1)))


def test_a_model_is_rebuilt_from_a_snapshot_of_postgresql_while_it_is_written(rebuilt: Pipeline, order_id: int) -> None:
    place(rebuilt.source, order_id, items=2)
    before = rebuilt.live("redis")
    with rebuilt.load():
        said = succeeds(rebuilt.command("replay", "redis", "--snapshot", "--execute"))
    assert "is equal" in said
    assert rebuilt.live("redis") > before
    rebuilt.settled()


@pytest.fixture
def shortened_log(rebuilt: Pipeline) -> Iterator[Command]:
    """Yield the command over topics without their first record."""
    admin = rebuilt.settings.kafka.admin()
    topics = {f"gone.{topic.partition('.')[2]}": topic for topic in rebuilt.settings.definitions.topics}
    for made in admin.create_topics([NewTopic(topic, 1, 1) for topic in topics]).values():
        made.result()
    producer = Producer(rebuilt.settings.kafka.with_client(acks="all"))
    for topic, original in topics.items():
        for key, value in _first_records(rebuilt, original, 3):
            producer.produce(topic, value, key, 0)
    producer.flush()
    for cut in admin.delete_records([TopicPartition(topic, 0, 1) for topic in topics]).values():
        cut.result()
    yield replace(rebuilt.command, environment={"READMODELS_TOPIC_PREFIX": "gone"})
    for deleted in admin.delete_topics(list(topics)).values():
        deleted.result()


def _first_records(pipeline: Pipeline, topic: str, count: int) -> list[tuple[bytes | None, bytes | None]]:
    settings = pipeline.settings.kafka.with_client(group_id="first-records", enable_auto_commit=False)
    consumer = Consumer(settings)
    consumer.assign(
        [
            TopicPartition(*topic_partition, 0)
            for topic_partition in pipeline.progress("redis")
            if topic_partition[0] == topic
        ]
    )
    found = wait_for(lambda: consumer.consume(count, 5.0), 60, lambda: f"nothing in {topic}")
    consumer.close()
    return [(message.key(), message.value()) for message in found]


@pytest.mark.parametrize("words", [(), ("--execute",)])
def test_a_log_without_its_beginning_is_refused_with_the_way_out(
    shortened_log: Command, rebuilt: Pipeline, words: Sequence[str]
) -> None:
    before = states(rebuilt, "redis")
    refused = shortened_log("replay", "redis", *words)
    assert refused.returncode == 1
    assert "offset zero is gone" in refused.stdout
    assert "--snapshot" in refused.stdout
    assert states(rebuilt, "redis") == before


def test_a_plan_shows_the_offsets_to_read_and_changes_nothing(rebuilt: Pipeline) -> None:
    rebuilt.settle()
    before = states(rebuilt, "duckdb")
    [plan] = json.loads(succeeds(rebuilt.command("replay", "duckdb", "--json")))
    assert plan["can_be_rebuilt"] is True
    assert plan["records"] == sum(one["records"] for one in plan["partitions"]) > 0
    assert {(one["topic"], one["partition"]) for one in plan["partitions"]} == set(rebuilt.progress("duckdb"))
    assert all(one["from"] == 0 for one in plan["partitions"])
    assert plan["free_bytes"] > plan["needed_bytes"] > 0
    assert plan["schema_ids"]
    assert (plan["generation"], states(rebuilt, "duckdb")) == (1 + max(before), before)


def test_scripts_receive_events_and_a_cutover_is_repeated_once_the_workers_resume(
    rebuilt: Pipeline, order_id: int
) -> None:
    said = succeeds(rebuilt.command("replay", "redis", "--execute", "--keep", "--json"))
    events = [json.loads(line) for line in said.splitlines()]
    assert {event["model"] for event in events} == {"redis"}
    assert events[0]["event"] == "begun"
    done = events[-1]
    assert (done["event"], done["is_equal"], done["live"]) == ("done", True, None)
    assert states(rebuilt, "redis")[done["generation"]] is GenerationState.READY
    told = json.loads(succeeds(rebuilt.command("generations", "redis", "--json")))
    assert {one["generation"]: one["state"] for one in told}[done["generation"]] == "ready"
    cut_over_once_its_workers_go_on(rebuilt, order_id)
    assert rebuilt.live("redis") == done["generation"]


def cut_over_once_its_workers_go_on(pipeline: Pipeline, order_id: int) -> None:
    """Cut over to a generation that lags, as its remedy says."""
    succeeds(pipeline.command("pause", "redis"))
    pipeline.workers.says("event=paused", "model=redis")
    place(pipeline.source, order_id)
    behind = pipeline.command("cutover", "redis", "--execute", "--timeout", "1")
    assert "GenerationCatchUpTimeout" in behind.stderr
    look, _, resume, longer = commands(GenerationCatchUpTimeout.remedy)
    assert "redis" in succeeds(pipeline.command(*look))
    succeeds(pipeline.command(*resume))
    succeeds(pipeline.command(*longer, "redis", "--execute"))
