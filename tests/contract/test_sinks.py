"""Contract tests that give every sink the same history in different orders, cuts and repetitions."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest

from sinks.batch import Batch, OffsetRange
from sinks.epoch import Epoch, EpochKind
from sinks.errors import GenerationInUse, OffsetGap
from sinks.generation import GenerationMetadata, GenerationState, rollback_candidates, utc_now
from sinks.ordering.range_tombstone import RangeTombstone, TombstoneKind
from sinks.sink import Sink
from tests.contract.log import LIBRARY, SHOP, Event, Log, Row, World, batch, expected, scope_of
from tests.contract.store_harness import Subject

Rows = dict[str, list[Row]]


def order(number: int, status: str = "pending", total: str = "10.00") -> Row:
    return {"id": number, "status": status, "total": total}


def item(number: int, of: int, sku: str = "pen") -> Row:
    return {"id": number, "order_id": of, "sku": sku}


def live_sink(subject: Subject, world: World = SHOP) -> Sink:
    sink = subject.store(world.shapes(subject.form)).sink(1)
    sink.prepare()
    sink.cutover()
    return sink


def feed(
    subject: Subject,
    sink: Sink,
    events: Sequence[Event],
    range_tombstones: Sequence[RangeTombstone] = (),
    world: World = SHOP,
) -> None:
    sink.write(batch(events, world, subject.form, range_tombstones))


def assert_shows(subject: Subject, rows: Rows, world: World = SHOP) -> None:
    assert subject.read(world.shapes(subject.form)) == expected(rows, world, subject.form)


def test_an_inserted_order_is_shown_with_its_items(subject: Subject) -> None:
    sink, log = live_sink(subject), Log(SHOP)
    log.streamed(SHOP.root, (10, 11), after=order(1))
    log.streamed(SHOP.child, (10, 12), after=item(7, of=1))
    log.streamed(SHOP.child, (10, 13), after=item(12, of=1, sku='ünïcode "quoted" \\ \u2028'))
    feed(subject, sink, log.events)
    assert_shows(subject, {"orders": [order(1)], "order_items": [item(7, 1), log.events[2].after or {}]})


def test_an_update_replaces_the_row(subject: Subject) -> None:
    sink, log = live_sink(subject), Log(SHOP)
    log.streamed(SHOP.root, (10, 11), after=order(1))
    log.streamed(SHOP.root, (20, 21), before=order(1), after=order(1, "paid", "12.30"))
    feed(subject, sink, log.events)
    assert_shows(subject, {"orders": [order(1, "paid", "12.30")]})


def test_a_deleted_order_stays_deleted_on_replay(subject: Subject) -> None:
    sink, log = live_sink(subject), Log(SHOP)
    log.streamed(SHOP.root, (10, 11), after=order(1))
    log.streamed(SHOP.root, (20, 21), before=order(1))
    for _ in range(2):
        feed(subject, sink, log.events)
        for event in log.events:
            feed(subject, sink, [event])
        assert_shows(subject, {})


def test_a_row_that_was_inserted_again_is_shown(subject: Subject) -> None:
    sink, log = live_sink(subject), Log(SHOP)
    log.streamed(SHOP.root, (10, 11), after=order(1))
    log.streamed(SHOP.root, (20, 21), before=order(1))
    log.streamed(SHOP.root, (30, 31), after=order(1, "paid"))
    for event in reversed(log.events):
        feed(subject, sink, [event])
    assert_shows(subject, {"orders": [order(1, "paid")]})


def test_an_insert_written_to_the_wal_before_the_delete_that_lets_it_through_wins(subject: Subject) -> None:
    sink, log = live_sink(subject), Log(SHOP)
    log.streamed(SHOP.root, (10, 11), after=order(1))
    log.streamed(SHOP.root, (20, 45), before=order(1))
    log.streamed(SHOP.root, (50, 41), after=order(1, "paid"))
    for event in reversed(log.events):
        feed(subject, sink, [event])
    assert_shows(subject, {"orders": [order(1, "paid")]})


def test_a_changed_key_is_a_deletion_and_a_creation(subject: Subject) -> None:
    sink, log = live_sink(subject), Log(SHOP)
    log.streamed(SHOP.root, (10, 11), after=order(2))
    log.streamed(SHOP.root, (20, 21), before=order(2))
    log.streamed(SHOP.root, (20, 21), after=order(500))
    feed(subject, sink, log.events[::-1])
    assert_shows(subject, {"orders": [order(500)]})


def test_an_item_that_moved_between_orders_is_in_one_of_them(subject: Subject) -> None:
    sink, log = live_sink(subject), Log(SHOP)
    for number in (77, 78, 79):
        log.streamed(SHOP.root, (10, number), after=order(number))
    log.streamed(SHOP.child, (100, 101), after=item(5, of=77))
    log.streamed(SHOP.child, (110, 111), before=item(5, of=77), after=item(5, of=78))
    log.streamed(SHOP.child, (120, 121), before=item(5, of=78), after=item(5, of=79))
    feed(subject, sink, log.events)
    for event in log.events:
        feed(subject, sink, [event])
    assert_shows(subject, {"orders": [order(77), order(78), order(79)], "order_items": [item(5, 79)]})


def test_items_that_arrive_before_their_order_wait_for_it(subject: Subject) -> None:
    sink, log = live_sink(subject), Log(SHOP)
    log.streamed(SHOP.child, (10, 12), after=item(7, of=1))
    feed(subject, sink, log.events)
    assert_shows(subject, {"order_items": [item(7, of=1)]})
    log.streamed(SHOP.root, (10, 11), after=order(1))
    feed(subject, sink, log.events[1:])
    assert_shows(subject, {"orders": [order(1)], "order_items": [item(7, of=1)]})


def test_a_created_again_order_shows_only_living_items(subject: Subject) -> None:
    sink, log = live_sink(subject), Log(SHOP)
    log.streamed(SHOP.root, (10, 11), after=order(1))
    log.streamed(SHOP.child, (10, 12), after=item(7, of=1))
    log.streamed(SHOP.child, (10, 13), after=item(8, of=1))
    log.streamed(SHOP.root, (20, 21), before=order(1))
    log.streamed(SHOP.child, (20, 22), before=item(7, of=1))
    feed(subject, sink, log.events)
    log.streamed(SHOP.root, (30, 31), after=order(1, "paid"))
    feed(subject, sink, log.events[5:])
    assert_shows(subject, {"orders": [order(1, "paid")], "order_items": [item(8, of=1)]})


def test_a_truncate_leaves_only_what_was_written_after_it(subject: Subject) -> None:
    sink, log = live_sink(subject), Log(SHOP)
    log.streamed(SHOP.root, (10, 11), after=order(1))
    log.streamed(SHOP.root, (10, 12), after=order(2))
    log.streamed(SHOP.child, (10, 13), after=item(7, of=1))
    truncate = log.truncate(SHOP.root, (20, 21))
    log.streamed(SHOP.root, (30, 31), after=order(2, "paid"))
    late = log.streamed(SHOP.root, (15, 16), before=order(1), after=order(1, "shipped"))
    events = [event for event in log.events if event is not late]
    feed(subject, sink, events)
    assert_shows(subject, {"orders": [order(2, "paid")], "order_items": [item(7, of=1)]})
    feed(subject, sink, [late])
    feed(subject, sink, [event for event in events if event is not truncate])
    assert_shows(subject, {"orders": [order(2, "paid")], "order_items": [item(7, of=1)]})


def test_a_truncate_of_items_empties_the_documents(subject: Subject) -> None:
    sink, log = live_sink(subject), Log(SHOP)
    log.streamed(SHOP.root, (10, 11), after=order(1))
    log.streamed(SHOP.child, (10, 13), after=item(7, of=1))
    log.truncate(SHOP.child, (20, 21))
    for event in log.events:
        feed(subject, sink, [event])
    assert_shows(subject, {"orders": [order(1)]})


def test_a_transaction_in_flight_at_the_snapshot_keeps_its_update(subject: Subject) -> None:
    sink, log = live_sink(subject), Log(SHOP)
    log.snapshot(SHOP.root, 100, order(1))
    log.streamed(SHOP.root, (90, 90), before=order(1), after=order(1, "paid"))
    feed(subject, sink, log.events)
    assert_shows(subject, {"orders": [order(1, "paid")]})
    for event in reversed(log.events):
        feed(subject, sink, [event])
    assert_shows(subject, {"orders": [order(1, "paid")]})


def test_a_sweep_removes_what_the_second_snapshot_did_not_find(subject: Subject) -> None:
    sink, (events, range_tombstones, rows) = live_sink(subject), two_lives(subject)
    feed(subject, sink, events)
    for range_tombstone in range_tombstones:
        feed(subject, sink, [], [range_tombstone])
    assert_shows(subject, rows)


def two_lives(subject: Subject) -> tuple[list[Event], list[RangeTombstone], Rows]:
    """Return a snapshot and its stream, an unseen gap, a second snapshot with its sweep, and its stream."""
    log = Log(SHOP)
    for number in range(1, 7):
        log.snapshot(SHOP.root, 100, order(number))
        log.snapshot(SHOP.child, 100, item(10 + number, of=number))
    log.streamed(SHOP.root, (90, 90), before=order(1), after=order(1, "paid"))
    log.streamed(SHOP.root, (110, 145), before=order(2))
    log.streamed(SHOP.root, (150, 141), after=order(2, "shipped"))
    log.streamed(SHOP.child, (160, 161), before=item(13, of=3), after=item(13, of=4))
    log.streamed(SHOP.root, (170, 171), before=order(5), after=order(5, "paid"))
    log.streamed(SHOP.root, (180, 181), before=order(5, "paid"), after=order(5, "cancelled"))
    started_at = {shape.table: log.end_of_log(shape) for shape in (SHOP.root, SHOP.child)}
    for number, status in ((1, "paid"), (2, "shipped"), (5, "cancelled"), (6, "paid")):
        log.snapshot(SHOP.root, 300, order(number, status))
        log.snapshot(SHOP.child, 300, item(10 + number, of=number))
    log.streamed(SHOP.root, (290, 290), before=order(6, "paid"), after=order(6, "shipped"))
    log.streamed(SHOP.child, (310, 311), before=item(11, of=1), after=item(11, of=2))
    log.streamed(SHOP.root, (320, 321), after=order(9))
    log.emit_again(log.events[12:18])
    log.streamed(SHOP.child, (330, 331), after=item(19, of=9))
    range_tombstones = [
        RangeTombstone(
            scope=scope_of(SHOP, subject.form, shape.table),
            kind=TombstoneKind.SNAPSHOT_END,
            epoch=0,
            commit_lsn=300,
            lsn=300,
            started_at=started_at[shape.table],
        )
        for shape in (SHOP.root, SHOP.child)
    ]
    rows = {
        "orders": [order(1, "paid"), order(2, "shipped"), order(5, "cancelled"), order(6, "shipped"), order(9)],
        "order_items": [item(11, 2), item(12, 2), item(15, 5), item(16, 6), item(19, 9)],
    }
    return log.events, range_tombstones, rows


@pytest.mark.parametrize("seed", range(6))
def test_any_order_cut_and_repetition_of_a_history_shows_the_same(subject: Subject, seed: int) -> None:
    sink, (events, range_tombstones, rows) = live_sink(subject), two_lives(subject)
    chance = random.Random(seed)
    for batch_of_events, batch_of_fences in deliveries(events, range_tombstones, chance):
        feed(subject, sink, batch_of_events, batch_of_fences)
    assert_shows(subject, rows)


def deliveries(
    events: Sequence[Event], range_tombstones: Sequence[RangeTombstone], chance: random.Random
) -> list[tuple[list[Event], list[RangeTombstone]]]:
    """Return batches of any size and order that contain every event and range tombstone at least once, some twice."""
    shuffled = [*events, *chance.sample(list(events), 10)]
    chance.shuffle(shuffled)
    cuts = sorted(chance.sample(range(1, len(shuffled)), 7))
    batches: list[tuple[list[Event], list[RangeTombstone]]] = [
        (shuffled[begin:end], []) for begin, end in zip([0, *cuts], [*cuts, len(shuffled)], strict=True)
    ]
    for range_tombstone in range_tombstones:
        chance.choice(batches)[1].append(range_tombstone)
    return batches


def test_a_history_in_reverse_shows_the_same(subject: Subject) -> None:
    sink, (events, range_tombstones, rows) = live_sink(subject), two_lives(subject)
    feed(subject, sink, [], range_tombstones)
    for event in reversed(events):
        feed(subject, sink, [event])
    assert_shows(subject, rows)


def placed_by_offset(events: Sequence[Event]) -> list[Event]:
    return [replace(event, is_snapshot=False, commit_lsn=event.offset, lsn=event.offset) for event in events]


def placed_by_arrival(events: Sequence[Event]) -> list[Event]:
    return [replace(event, is_snapshot=False, commit_lsn=at, lsn=at) for at, event in enumerate(events)]


@pytest.mark.parametrize("placed", [placed_by_offset, placed_by_arrival])
def test_the_history_distinguishes_the_rule_from_a_simpler_comparison(subject: Subject, placed: object) -> None:
    """Check that the suite detects wrong orders: a comparison by offset or by arrival must give wrong contents."""
    assert callable(placed)
    sink, (events, _, rows) = live_sink(subject), two_lives(subject)
    for event in placed([*reversed(events)]):
        feed(subject, sink, [event])
    assert subject.read(SHOP.shapes(subject.form)) != expected(rows, SHOP, subject.form)


def test_a_replayed_history_changes_nothing(subject: Subject) -> None:
    sink, (events, range_tombstones, rows) = live_sink(subject), two_lives(subject)
    for _ in range(3):
        feed(subject, sink, events, range_tombstones)
        assert_shows(subject, rows)


def test_another_root_and_child_are_only_data(subject: Subject) -> None:
    sink, log = live_sink(subject, LIBRARY), Log(LIBRARY)
    shelf: Row = {"code": "A/1 ~é", "room": 3}
    book: Row = {"isbn": "978-3", "shelf": "A/1 ~é", "title": "Dune"}
    log.streamed(LIBRARY.child, (10, 12), after=book)
    log.streamed(LIBRARY.root, (10, 13), after=shelf)
    log.streamed(LIBRARY.root, (20, 21), after={"code": "~b", "room": 4})
    log.streamed(LIBRARY.child, (30, 31), before=book, after={**book, "shelf": "~b"})
    feed(subject, sink, log.events, world=LIBRARY)
    rows: Rows = {"shelves": [shelf, {"code": "~b", "room": 4}], "books": [{**book, "shelf": "~b"}]}
    assert_shows(subject, rows, LIBRARY)


def test_progress_is_the_end_of_what_was_written(subject: Subject) -> None:
    sink, log = live_sink(subject), Log(SHOP)
    log.streamed(SHOP.root, (10, 11), after=order(1))
    assert sink.progress().next_offset(("orders", 1)) == 0
    feed(subject, sink, log.events)
    sink.write(Batch(span=OffsetRange({("orders", 0): 0, ("orders", 1): 1}, {("orders", 0): 5, ("orders", 1): 9})))
    assert dict(sink.progress().offsets) == {("orders", 0): 5, ("orders", 1): 9}


def test_progress_never_goes_down(subject: Subject) -> None:
    sink = live_sink(subject)
    sink.write(Batch(span=OffsetRange({("orders", 0): 0}, {("orders", 0): 9})))
    sink.write(Batch(span=OffsetRange({("orders", 0): 2}, {("orders", 0): 4})))
    assert sink.progress().next_offset(("orders", 0)) == 9


def test_a_batch_beyond_the_stored_progress_is_refused(subject: Subject) -> None:
    sink, log = live_sink(subject), Log(SHOP)
    log.streamed(SHOP.root, (10, 11), after=order(1))
    with pytest.raises(OffsetGap) as refused:
        sink.write(batch(log.events, SHOP, subject.form, begin=3))
    assert list(refused.value.stored.values()) == [0]
    assert_shows(subject, {})


def test_preparing_again_keeps_everything(subject: Subject) -> None:
    sink, log = live_sink(subject), Log(SHOP)
    log.streamed(SHOP.root, (10, 11), after=order(1))
    feed(subject, sink, log.events)
    sink.prepare()
    sink.cutover()
    assert_shows(subject, {"orders": [order(1)]})


def test_a_second_generation_is_shown_only_by_its_cutover(subject: Subject) -> None:
    store = subject.store(SHOP.shapes(subject.form))
    first, second, log = store.sink(1), store.sink(2), Log(SHOP)
    first.prepare()
    first.cutover()
    log.streamed(SHOP.root, (10, 11), after=order(1))
    second.prepare()
    feed(subject, second, log.events)
    assert (list(store.generations()), store.live()) == ([1, 2], 1)
    assert_shows(subject, {})
    second.cutover()
    assert store.live() == 2
    assert_shows(subject, {"orders": [order(1)]})
    log.streamed(SHOP.root, (10, 12), after=order(2))
    feed(subject, first, log.events)
    assert_shows(subject, {"orders": [order(1)]})
    first.cutover()
    assert_shows(subject, {"orders": [order(1), order(2)]})


BORN = GenerationMetadata(
    created_at=utc_now(), contract="made of this", is_complete=False, seed_offsets={("cdc.public.orders", 3): 42}
)


def test_a_generation_is_building_until_it_is_complete(subject: Subject) -> None:
    store = subject.store(SHOP.shapes(subject.form))
    store.create(1, BORN)
    assert store.generations() == {1: BORN}
    store.create(1, GenerationMetadata())
    assert store.generations() == {1: BORN}, "what is there stays as it is"
    store.mark_complete(1, filled_per_s=1234.5)
    store.mark_complete(1)
    assert store.generations() == {1: replace(BORN, is_complete=True, filled_per_s=1234.5)}
    store.mark_rejected(1)
    assert store.generations()[1].state(is_live=False) is GenerationState.REJECTED


def test_the_epochs_of_a_generation_are_recorded_one_by_one(subject: Subject) -> None:
    store = subject.store(SHOP.shapes(subject.form))
    store.create(1, BORN)
    first = Epoch(number=0, kind=EpochKind.FIRST, fingerprint={"topic a": "1"}, opened_at=utc_now())
    moved = replace(first, number=1, kind=EpochKind.CONTINUED, begins_at={("a", 2): 3}, resumes_at={("a", 2): 4})
    sweep = RangeTombstone(scope="orders", kind=TombstoneKind.SNAPSHOT_END, epoch=0, commit_lsn=7, lsn=7)
    for epoch in (first, moved, first.with_snapshot_complete(7, (sweep,)), first):
        store.record_epoch(1, epoch)
    assert store.generations() == {1: replace(BORN, epochs=(first.with_snapshot_complete(7, (sweep,)), moved))}


def test_a_generation_is_given_the_seed_of_its_record(subject: Subject) -> None:
    log = Log(SHOP)
    log.streamed(SHOP.root, (10, 11), after=order(1))
    store = subject.store(SHOP.shapes(subject.form))
    range_tombstone = RangeTombstone(
        scope=scope_of(SHOP, subject.form, SHOP.root.table), kind=TombstoneKind.TRUNCATE, epoch=0, commit_lsn=10, lsn=12
    )
    store.create(1, replace(BORN, fences=(range_tombstone,)))
    sink = store.sink(1)
    for _ in range(2):
        sink.write(store.generations()[1].initial_batch)
    sink.cutover()
    feed(subject, sink, log.events)
    assert sink.progress().next_offset(("cdc.public.orders", 3)) == 42
    assert_shows(subject, {})


def test_a_cutover_is_recorded_and_can_be_rolled_back(subject: Subject) -> None:
    store = subject.store(SHOP.shapes(subject.form))
    for generation in (1, 2):
        store.create(generation, BORN)
        store.mark_complete(generation)
        store.sink(generation).cutover()
    records = store.generations()
    first, second = records[1].shown_at, records[2].shown_at
    assert first is not None
    assert second is not None
    assert first < second
    assert {number: record.state(is_live=number == 2) for number, record in records.items()} == {
        1: GenerationState.KEPT,
        2: GenerationState.LIVE,
    }
    assert rollback_candidates(records, 2) == [1]
    store.sink(1).cutover()
    assert (store.live(), rollback_candidates(store.generations(), 1)) == (1, [2])


def test_the_live_generation_cannot_be_dropped_and_others_can(subject: Subject) -> None:
    store = subject.store(SHOP.shapes(subject.form))
    for generation in (1, 2):
        store.create(generation, GenerationMetadata())
        feed(subject, store.sink(generation), [])
    store.sink(2).cutover()
    assert store.size_bytes(1) > 0
    with pytest.raises(GenerationInUse):
        store.drop(2)
    for _ in range(2):
        store.drop(1)
    assert (list(store.generations()), store.live()) == ([2], 2)
