"""What the polling thread fills and the worker empties."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from confluent_kafka import Message

from pipeline.ingest.buffer import ENOUGH, NOTHING_CAME, Handover
from pipeline.ingest.consumer import LogTruncated
from sinks.batch import Shard, Span

ORDERS, ITEMS = ("orders", 0), ("items", 1)
GOING = threading.Event()


def message(shard: Shard, offset: int) -> Message:
    return Message(topic=shard[0], partition=shard[1], offset=offset, key=b"key", value=b"value")


def begun(*shards: Shard, max_records: int = 100) -> Handover:
    """A handover in which these shards have been assigned, placed at zero and sought."""
    handover = Handover(max_records)
    handover.assigned(shards)
    handover.place(dict.fromkeys(shards, 0))
    for shard, offset in handover.placed().items():
        handover.begin(shard, offset)
    return handover


def test_a_shard_is_placed_once_before_it_begins() -> None:
    handover = Handover(100)
    handover.assigned([ORDERS, ITEMS])
    assert handover.unplaced() == {ORDERS, ITEMS}
    handover.place({ORDERS: 7})
    assert handover.unplaced() == {ITEMS}
    assert handover.placed() == {ORDERS: 7}
    assert handover.placed() == {}
    assert handover.positions() == {}
    handover.begin(ORDERS, 7)
    assert handover.positions() == {ORDERS: 7}


def test_records_that_came_before_their_shard_began_are_not_handed_over() -> None:
    handover = Handover(100)
    handover.assigned([ORDERS])
    handover.add([message(ORDERS, 0)], {ORDERS: 1})
    assert handover.take(0, GOING) == NOTHING_CAME
    handover.place({ORDERS: 5})
    handover.begin(*handover.placed().popitem())
    handover.add([message(ORDERS, 5)], {})
    assert handover.take(0, GOING).span == Span({ORDERS: 5}, {ORDERS: 6})


def test_a_shard_that_was_revoked_meanwhile_is_not_placed() -> None:
    handover = Handover(100)
    handover.assigned([ORDERS])
    handover.forget([ORDERS])
    handover.place({ORDERS: 7})
    assert (handover.unplaced(), handover.placed()) == (set(), {})
    handover.assigned([ORDERS])
    handover.place({ORDERS: 7})
    handover.forget([ORDERS])
    assert handover.placed() == {}


def test_a_seek_that_came_too_early_is_tried_again_unless_a_newer_placement_stands() -> None:
    handover = begun(ORDERS)
    handover.place_again(ORDERS, 3)
    assert handover.placed() == {ORDERS: 3}
    handover.rewound([ORDERS])
    handover.place({ORDERS: 9})
    handover.place_again(ORDERS, 3)
    assert handover.placed() == {ORDERS: 9}


def test_what_was_polled_of_a_forgotten_shard_is_for_others() -> None:
    handover = begun(ORDERS, ITEMS)
    handover.add([message(ORDERS, 0), message(ITEMS, 0)], {})
    handover.forget([ORDERS])
    handover.add([message(ORDERS, 1)], {ORDERS: 2})
    taken = handover.take(0, GOING)
    assert [records.topic for records in taken.records] == ["items"]
    assert taken.span == Span({ITEMS: 0}, {ITEMS: 1})


def test_a_shard_that_was_rewound_is_read_from_where_it_is_placed_anew() -> None:
    handover = begun(ORDERS)
    handover.add([message(ORDERS, offset) for offset in range(5)], {})
    assert handover.take(0, GOING).span.end == {ORDERS: 5}
    handover.put_down()
    handover.add([message(ORDERS, 5)], {})
    handover.rewound([ORDERS])
    assert handover.unplaced() == {ORDERS}
    assert handover.take(0, GOING) == NOTHING_CAME
    handover.place({ORDERS: 2})
    handover.begin(*handover.placed().popitem())
    handover.add([message(ORDERS, 2)], {})
    assert handover.take(0, GOING).span == Span({ORDERS: 2}, {ORDERS: 3})


def test_at_most_so_many_records_are_taken_and_the_rest_comes_next() -> None:
    handover = begun(ORDERS, max_records=3)
    handover.add([message(ORDERS, offset) for offset in range(5)], {ORDERS: 9})
    first, second = handover.take(0, GOING), handover.take(0, GOING)
    assert (len(first), first.span) == (3, Span({ORDERS: 0}, {ORDERS: 3}))
    assert (len(second), second.span) == (2, Span({ORDERS: 3}, {ORDERS: 9}))
    assert handover.take(0, GOING) == NOTHING_CAME


def test_nothing_comes_while_it_is_paused() -> None:
    handover, paused = begun(ORDERS), threading.Event()
    handover.add([message(ORDERS, 0)], {})
    paused.set()
    assert handover.take(0, paused) == NOTHING_CAME
    paused.clear()
    assert len(handover.take(0, paused)) == 1


def test_whoever_waits_for_records_is_woken_by_them() -> None:
    handover, taken = begun(ORDERS), []
    waiting = threading.Thread(target=lambda: taken.append(handover.take(600, GOING)))
    waiting.start()
    handover.add([message(ORDERS, 0)], {})
    waiting.join()
    assert [len(batch) for batch in taken] == [1]


def test_the_first_error_of_the_polling_thread_is_raised_where_records_are_taken() -> None:
    handover = begun(ORDERS)
    handover.add([message(ORDERS, 0)], {})
    handover.fail(LogTruncated("orders/0"))
    handover.fail(ValueError("later"))
    for _ in range(2):
        with pytest.raises(LogTruncated):
            handover.take(600, GOING)


def test_a_revocation_waits_until_the_batch_in_hand_is_put_down() -> None:
    handover = begun(ORDERS)
    assert handover.await_put_down(0)
    handover.add([message(ORDERS, 0)], {})
    handover.take(0, GOING)
    assert not handover.await_put_down(0)
    answers: list[bool] = []
    waiting = threading.Thread(target=lambda: answers.append(handover.await_put_down(600)))
    waiting.start()
    handover.put_down()
    waiting.join()
    assert answers == [True]


def test_there_is_room_again_once_a_batch_is_taken() -> None:
    handover = begun(ORDERS, max_records=2)
    assert handover.await_room(0, GOING)
    handover.add([message(ORDERS, 0), message(ORDERS, 1)], {})
    assert not handover.await_room(0, GOING)
    waiting = ThreadPoolExecutor(1).submit(handover.await_room, 60, GOING)
    handover.take(0, GOING)
    assert waiting.result(timeout=30)


def test_nobody_waits_for_room_once_it_is_over() -> None:
    handover = begun(ORDERS, max_records=1)
    handover.add([message(ORDERS, 0)], {})
    ended = threading.Event()
    waiting = ThreadPoolExecutor(1).submit(handover.await_room, 60, ended)
    ended.set()
    handover.put_down()
    assert not waiting.result(timeout=30)


@pytest.mark.parametrize(
    "comes",
    [
        lambda handover: handover.add([message(ORDERS, offset) for offset in range(2 * ENOUGH)], {}),
        lambda handover: handover.add([message(ORDERS, 0)] * ENOUGH, {}, {ORDERS: 1}),
        lambda handover: handover.assigned([ITEMS]),
        lambda handover: handover.rewound([ORDERS]),
        lambda handover: handover.fail(LogTruncated("gone")),
    ],
    ids=["a full batch", "enough, and no more in the log", "another shard", "a store that went back", "an error"],
)
def test_a_rest_ends_with(comes: Callable[[Handover], None]) -> None:
    handover = begun(ORDERS, max_records=2 * ENOUGH)
    resting = ThreadPoolExecutor(1).submit(handover.rest, 60)
    comes(handover)
    resting.result(timeout=30)


def test_a_rest_goes_on_while_the_log_holds_more_than_was_polled() -> None:
    handover = begun(ORDERS, max_records=2 * ENOUGH)
    with ThreadPoolExecutor(1) as pool:
        resting = pool.submit(handover.rest, 60)
        handover.add([message(ORDERS, offset) for offset in range(ENOUGH)], {}, {ORDERS: ENOUGH + 1})
        assert not resting.done()
        handover.add([message(ORDERS, ENOUGH)], {})
        resting.result(timeout=30)


def test_the_lag_is_the_log_that_was_not_taken_as_far_as_its_end_is_known() -> None:
    handover = begun(ORDERS, ITEMS)
    assert handover.lag() == 0
    handover.add([message(ORDERS, 0), message(ORDERS, 1), message(ITEMS, 0)], {ITEMS: 2}, {ORDERS: 700, ITEMS: -1001})
    assert handover.lag() == 702
    handover.take(0, GOING)
    assert handover.lag() == 698
    handover.add([message(ORDERS, 900)], {})
    assert handover.lag() == 899


def test_records_come_together_while_a_rest_lasts() -> None:
    handover = begun(ORDERS, max_records=10)
    with ThreadPoolExecutor(1) as pool:
        resting = pool.submit(handover.rest, 0.2)
        for offset in range(3):
            handover.add([message(ORDERS, offset)], {})
            assert not resting.done()
        resting.result(timeout=30)
    assert len(handover.take(0, GOING)) == 3


def test_offsets_are_mirrored_once_and_the_latest_counts() -> None:
    handover = Handover(100)
    handover.mirror({ORDERS: 3, ITEMS: 1})
    handover.mirror({ORDERS: 5})
    assert handover.mirrored() == {ORDERS: 5, ITEMS: 1}
    assert handover.mirrored() == {}


def test_a_shard_that_begins_is_mirrored_before_a_record_of_it_comes() -> None:
    handover = Handover(100)
    handover.begin(ORDERS, 3)
    assert handover.mirrored() == {ORDERS: 3}
