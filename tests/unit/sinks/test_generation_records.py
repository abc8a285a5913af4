"""Tests of the metadata of a generation, and of the states derived from it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from pipeline.definitions import (
    CollectionDefinition,
    DocumentDefinition,
    ModelDefinitions,
    TableDefinition,
    parse_definitions,
)
from pipeline.generations.cutover import GenerationNotServable, newest, prunable, require_servable
from pipeline.generations.rebuild_target import RebuildTarget, choose_target
from sinks.batch import OffsetRange
from sinks.epoch import Epoch, EpochKind
from sinks.generation import NO_METADATA, GenerationMetadata, GenerationState, rollback_candidates
from sinks.memory import MemoryStore
from sinks.ordering.range_tombstone import RangeTombstone, TombstoneKind
from sinks.shape import DocumentShape, RowShape

TOPIC_PARTITION = ("cdc.public.orders", 3)
SWEEP = RangeTombstone(
    scope="orders/", kind=TombstoneKind.SNAPSHOT_END, epoch=0, commit_lsn=7, lsn=7, started_at={2: 9}
)
EPOCH = Epoch(
    number=0,
    kind=EpochKind.FIRST,
    fingerprint={"topic cdc.public.orders": "an id, 6 partitions"},
    opened_at=datetime(2026, 1, 2, tzinfo=UTC),
    reason="any text",
    is_settled=True,
    snapshot_lsn=7,
    fences=(SWEEP,),
)
FULL = GenerationMetadata(
    created_at=datetime(2026, 1, 2, 3, 4, 5, 6, UTC),
    shapes=(RowShape("orders", ("id",), {"id": "bigint"}), DocumentShape("o", {"id": "bigint"}, {"i": {"n": "text"}})),
    contract="any text",
    is_complete=False,
    is_rejected=True,
    filled_per_s=1234.5,
    shown_at=datetime(2026, 1, 2, tzinfo=UTC),
    seed_offsets={TOPIC_PARTITION: 42},
    fences=(SWEEP,),
    epochs=(
        EPOCH,
        replace(
            EPOCH, number=1, kind=EpochKind.CONTINUED, begins_at={TOPIC_PARTITION: 7}, resumes_at={TOPIC_PARTITION: 8}
        ),
    ),
)


def made_of(prefix: str) -> str:
    return ModelDefinitions(topic_prefix=prefix, tables={}, documents={}).to_json()


BUILDING = GenerationMetadata(contract=made_of("a"), is_complete=False)
READY = GenerationMetadata(contract=made_of("a"))


def shown(day: int) -> GenerationMetadata:
    return GenerationMetadata(contract=made_of("a"), shown_at=datetime(2026, 1, day, tzinfo=UTC))


def test_a_record_is_read_back_as_it_was() -> None:
    assert GenerationMetadata.from_json(FULL.to_json()) == FULL
    assert GenerationMetadata.from_json(NO_METADATA.to_json()) == NO_METADATA


def test_a_record_of_another_version_is_read_as_far_as_it_is_known() -> None:
    plain = json.loads(FULL.to_json())
    del plain["contract"]
    assert GenerationMetadata.from_json(json.dumps({**plain, "colour": "blue"})) == replace(FULL, contract="")


def test_a_new_generation_starts_with_the_range_tombstones_and_the_earliest_offsets() -> None:
    assert FULL.initial_batch.range_tombstones == (SWEEP,)
    assert FULL.initial_batch.span == OffsetRange({}, {TOPIC_PARTITION: 42})


def test_a_contract_is_read_back_as_it_was() -> None:
    definitions = ModelDefinitions(
        topic_prefix="cdc",
        tables={
            "orders": TableDefinition(source="public.orders", key=("id",), columns={"id": "bigint"}),
            "items": TableDefinition(source="public.items", key=("a", "b"), columns={"a": "bigint", "b": "text"}),
        },
        documents={
            "orders": DocumentDefinition(
                root="orders", collections={"items": CollectionDefinition(table="items", parent=("a",))}
            ),
        },
    )
    assert parse_definitions(definitions.to_json()) == definitions


@pytest.mark.parametrize(
    ("record", "is_live", "state"),
    [
        (BUILDING, False, GenerationState.BUILDING),
        (READY, False, GenerationState.READY),
        (replace(READY, is_rejected=True), False, GenerationState.REJECTED),
        (shown(1), False, GenerationState.KEPT),
        (shown(1), True, GenerationState.LIVE),
        (replace(shown(1), is_complete=False), True, GenerationState.BUILDING),
        (replace(shown(1), is_complete=False), False, GenerationState.KEPT),
        (NO_METADATA, True, GenerationState.LIVE),
    ],
)
def test_the_state_follows_from_the_record_and_from_what_readers_see(
    record: GenerationMetadata, is_live: bool, state: GenerationState
) -> None:
    assert record.state(is_live=is_live) is state


def test_the_generation_to_go_back_to_is_the_one_that_was_live_last() -> None:
    generations = {1: shown(3), 2: shown(4), 3: shown(2), 4: READY, 5: BUILDING}
    assert rollback_candidates(generations, live=2) == [1, 3]


@pytest.mark.parametrize(
    ("generations", "wanted", "starts_over", "found"),
    [
        ({}, BUILDING, False, RebuildTarget(2)),
        ({1: shown(1)}, BUILDING, False, RebuildTarget(2)),
        ({1: shown(1), 2: BUILDING}, BUILDING, False, RebuildTarget(2, is_resumed=True)),
        ({1: shown(1), 2: READY}, BUILDING, False, RebuildTarget(2, is_resumed=True)),
        ({1: shown(1), 2: BUILDING}, BUILDING, True, RebuildTarget(3, dropped=(2,))),
        ({1: shown(1), 2: READY}, BUILDING, True, RebuildTarget(3, dropped=(2,))),
        ({1: shown(1), 2: BUILDING}, replace(BUILDING, contract=made_of("b")), False, RebuildTarget(3, dropped=(2,))),
        ({1: shown(1), 2: READY}, replace(BUILDING, contract=made_of("b")), False, RebuildTarget(3)),
        (
            {1: shown(1), 2: BUILDING},
            replace(BUILDING, seed_offsets={TOPIC_PARTITION: 1}),
            False,
            RebuildTarget(3, dropped=(2,)),
        ),
        ({1: shown(1), 2: replace(READY, is_rejected=True)}, BUILDING, False, RebuildTarget(3, dropped=(2,))),
        ({1: shown(1), 2: shown(2)}, BUILDING, True, RebuildTarget(3)),
        ({1: replace(shown(1), is_complete=False)}, BUILDING, True, RebuildTarget(2)),
    ],
)
def test_a_replay_resumes_with_equal_definitions_and_starts_over_otherwise(
    generations: dict[int, GenerationMetadata], wanted: GenerationMetadata, starts_over: bool, found: RebuildTarget
) -> None:
    assert choose_target(generations, 1, wanted, starts_over=starts_over) == found


def test_unneeded_generations_are_rejected_or_were_live_long_ago() -> None:
    generations = {1: shown(1), 2: shown(2), 3: shown(3), 4: replace(READY, is_rejected=True), 5: READY, 6: BUILDING}
    assert prunable(generations, live=3, keep=1) == [1, 4]
    assert prunable(generations, live=3, keep=0) == [1, 2, 4]


def test_readers_are_shown_nothing_that_is_unfinished_or_wrong() -> None:
    store = MemoryStore([])
    for number, record in enumerate([shown(1), BUILDING, READY, replace(READY, is_rejected=True)], start=1):
        store.create(number, record)
    store.sink(1).cutover()
    assert newest("redis", store) == 3
    require_servable("redis", 3, store)
    for refused in (2, 4, 9):
        with pytest.raises(GenerationNotServable):
            require_servable("redis", refused, store)
    store.drop(3)
    with pytest.raises(GenerationNotServable):
        newest("redis", store)
