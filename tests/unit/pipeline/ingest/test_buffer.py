"""Tests of the buffer that the polling thread fills and the worker empties."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from confluent_kafka import Message

from pipeline.ingest.buffer import EMPTY_BATCH, ENOUGH, RecordBuffer
from pipeline.ingest.consumer import OffsetOutOfRange
from sinks.batch import OffsetRange, TopicPartition

ORDERS, ITEMS = ("orders", 0), ("items", 1)
GOING = threading.Event()


def message(topic_partition: TopicPartition, offset: int) -> Message:
    return Message(topic=topic_partition[0], partition=topic_partition[1], offset=offset, key=b"key", value=b"value")


def begun(*topic_partitions: TopicPartition, max_records: int = 100) -> RecordBuffer:
    """Return a buffer in which these topic partitions have been assigned, positioned at zero and sought."""
    buffer = RecordBuffer(max_records)
    buffer.assigned(topic_partitions)
    buffer.assign_offsets(dict.fromkeys(topic_partitions, 0))
    for topic_partition, offset in buffer.take_seeks().items():
        buffer.started(topic_partition, offset)
    return buffer


def test_a_partition_is_positioned_once_before_it_starts() -> None:
    buffer = RecordBuffer(100)
    buffer.assigned([ORDERS, ITEMS])
    assert buffer.awaiting_offset() == {ORDERS, ITEMS}
    buffer.assign_offsets({ORDERS: 7})
    assert buffer.awaiting_offset() == {ITEMS}
    assert buffer.take_seeks() == {ORDERS: 7}
    assert buffer.take_seeks() == {}
    assert buffer.positions() == {}
    buffer.started(ORDERS, 7)
    assert buffer.positions() == {ORDERS: 7}


def test_records_that_arrived_before_their_partition_started_are_dropped() -> None:
    buffer = RecordBuffer(100)
    buffer.assigned([ORDERS])
    buffer.add([message(ORDERS, 0)], {ORDERS: 1})
    assert buffer.take(0, GOING) == EMPTY_BATCH
    buffer.assign_offsets({ORDERS: 5})
    buffer.started(*buffer.take_seeks().popitem())
    buffer.add([message(ORDERS, 5)], {})
    assert buffer.take(0, GOING).span == OffsetRange({ORDERS: 5}, {ORDERS: 6})


def test_a_partition_that_was_revoked_meanwhile_is_not_positioned() -> None:
    buffer = RecordBuffer(100)
    buffer.assigned([ORDERS])
    buffer.revoke([ORDERS])
    buffer.assign_offsets({ORDERS: 7})
    assert (buffer.awaiting_offset(), buffer.take_seeks()) == (set(), {})
    buffer.assigned([ORDERS])
    buffer.assign_offsets({ORDERS: 7})
    buffer.revoke([ORDERS])
    assert buffer.take_seeks() == {}


def test_a_seek_that_came_too_early_is_tried_again_unless_a_newer_placement_stands() -> None:
    buffer = begun(ORDERS)
    buffer.retry_seek(ORDERS, 3)
    assert buffer.take_seeks() == {ORDERS: 3}
    buffer.reset([ORDERS])
    buffer.assign_offsets({ORDERS: 9})
    buffer.retry_seek(ORDERS, 3)
    assert buffer.take_seeks() == {ORDERS: 9}


def test_records_of_a_revoked_partition_are_dropped() -> None:
    buffer = begun(ORDERS, ITEMS)
    buffer.add([message(ORDERS, 0), message(ITEMS, 0)], {})
    buffer.revoke([ORDERS])
    buffer.add([message(ORDERS, 1)], {ORDERS: 2})
    taken = buffer.take(0, GOING)
    assert [records.topic for records in taken.records] == ["items"]
    assert taken.span == OffsetRange({ITEMS: 0}, {ITEMS: 1})


def test_a_rewound_partition_is_read_from_its_new_position() -> None:
    buffer = begun(ORDERS)
    buffer.add([message(ORDERS, offset) for offset in range(5)], {})
    assert buffer.take(0, GOING).span.end == {ORDERS: 5}
    buffer.batch_done()
    buffer.add([message(ORDERS, 5)], {})
    buffer.reset([ORDERS])
    assert buffer.awaiting_offset() == {ORDERS}
    assert buffer.take(0, GOING) == EMPTY_BATCH
    buffer.assign_offsets({ORDERS: 2})
    buffer.started(*buffer.take_seeks().popitem())
    buffer.add([message(ORDERS, 2)], {})
    assert buffer.take(0, GOING).span == OffsetRange({ORDERS: 2}, {ORDERS: 3})


def test_at_most_so_many_records_are_taken_and_the_rest_comes_next() -> None:
    buffer = begun(ORDERS, max_records=3)
    buffer.add([message(ORDERS, offset) for offset in range(5)], {ORDERS: 9})
    first, second = buffer.take(0, GOING), buffer.take(0, GOING)
    assert (len(first), first.span) == (3, OffsetRange({ORDERS: 0}, {ORDERS: 3}))
    assert (len(second), second.span) == (2, OffsetRange({ORDERS: 3}, {ORDERS: 9}))
    assert buffer.take(0, GOING) == EMPTY_BATCH


def test_nothing_comes_while_it_is_paused() -> None:
    buffer, paused = begun(ORDERS), threading.Event()
    buffer.add([message(ORDERS, 0)], {})
    paused.set()
    assert buffer.take(0, paused) == EMPTY_BATCH
    paused.clear()
    assert len(buffer.take(0, paused)) == 1


def test_a_waiting_thread_is_woken_by_records() -> None:
    buffer, taken = begun(ORDERS), []
    waiting = threading.Thread(target=lambda: taken.append(buffer.take(600, GOING)))
    waiting.start()
    buffer.add([message(ORDERS, 0)], {})
    waiting.join()
    assert [len(batch) for batch in taken] == [1]


def test_the_first_error_of_the_polling_thread_is_raised_where_records_are_taken() -> None:
    buffer = begun(ORDERS)
    buffer.add([message(ORDERS, 0)], {})
    buffer.fail(OffsetOutOfRange("orders/0"))
    buffer.fail(ValueError("later"))
    for _ in range(2):
        with pytest.raises(OffsetOutOfRange):
            buffer.take(600, GOING)


def test_a_revocation_waits_until_the_current_batch_is_done() -> None:
    buffer = begun(ORDERS)
    assert buffer.wait_batch_done(0)
    buffer.add([message(ORDERS, 0)], {})
    buffer.take(0, GOING)
    assert not buffer.wait_batch_done(0)
    answers: list[bool] = []
    waiting = threading.Thread(target=lambda: answers.append(buffer.wait_batch_done(600)))
    waiting.start()
    buffer.batch_done()
    waiting.join()
    assert answers == [True]


def test_there_is_room_again_once_a_batch_is_taken() -> None:
    buffer = begun(ORDERS, max_records=2)
    assert buffer.wait_for_room(0, GOING)
    buffer.add([message(ORDERS, 0), message(ORDERS, 1)], {})
    assert not buffer.wait_for_room(0, GOING)
    waiting = ThreadPoolExecutor(1).submit(buffer.wait_for_room, 60, GOING)
    buffer.take(0, GOING)
    assert waiting.result(timeout=30)


def test_no_thread_waits_for_room_after_the_end() -> None:
    buffer = begun(ORDERS, max_records=1)
    buffer.add([message(ORDERS, 0)], {})
    ended = threading.Event()
    waiting = ThreadPoolExecutor(1).submit(buffer.wait_for_room, 60, ended)
    ended.set()
    buffer.batch_done()
    assert not waiting.result(timeout=30)


@pytest.mark.parametrize(
    "comes",
    [
        lambda buffer: buffer.add([message(ORDERS, offset) for offset in range(2 * ENOUGH)], {}),
        lambda buffer: buffer.add([message(ORDERS, 0)] * ENOUGH, {}, {ORDERS: 1}),
        lambda buffer: buffer.assigned([ITEMS]),
        lambda buffer: buffer.reset([ORDERS]),
        lambda buffer: buffer.fail(OffsetOutOfRange("gone")),
    ],
    ids=["a full batch", "enough, and no more in the log", "another shard", "a store that went back", "an error"],
)
def test_a_rest_ends_with(comes: Callable[[RecordBuffer], None]) -> None:
    buffer = begun(ORDERS, max_records=2 * ENOUGH)
    resting = ThreadPoolExecutor(1).submit(buffer.linger, 60)
    comes(buffer)
    resting.result(timeout=30)


def test_a_pause_continues_while_the_log_holds_more_than_was_polled() -> None:
    buffer = begun(ORDERS, max_records=2 * ENOUGH)
    with ThreadPoolExecutor(1) as pool:
        resting = pool.submit(buffer.linger, 60)
        buffer.add([message(ORDERS, offset) for offset in range(ENOUGH)], {}, {ORDERS: ENOUGH + 1})
        assert not resting.done()
        buffer.add([message(ORDERS, ENOUGH)], {})
        resting.result(timeout=30)


def test_the_lag_is_the_log_that_was_not_taken_as_far_as_its_end_is_known() -> None:
    buffer = begun(ORDERS, ITEMS)
    assert buffer.lag() == 0
    buffer.add([message(ORDERS, 0), message(ORDERS, 1), message(ITEMS, 0)], {ITEMS: 2}, {ORDERS: 700, ITEMS: -1001})
    assert buffer.lag() == 702
    buffer.take(0, GOING)
    assert buffer.lag() == 698
    buffer.add([message(ORDERS, 900)], {})
    assert buffer.lag() == 899


def test_records_come_together_while_a_rest_lasts() -> None:
    buffer = begun(ORDERS, max_records=10)
    with ThreadPoolExecutor(1) as pool:
        resting = pool.submit(buffer.linger, 0.2)
        for offset in range(3):
            buffer.add([message(ORDERS, offset)], {})
            assert not resting.done()
        resting.result(timeout=30)
    assert len(buffer.take(0, GOING)) == 3


def test_offsets_are_mirrored_once_and_the_latest_counts() -> None:
    buffer = RecordBuffer(100)
    buffer.queue_commit({ORDERS: 3, ITEMS: 1})
    buffer.queue_commit({ORDERS: 5})
    assert buffer.take_commits() == {ORDERS: 5, ITEMS: 1}
    assert buffer.take_commits() == {}


def test_the_offset_of_a_partition_is_committed_before_its_first_record() -> None:
    buffer = RecordBuffer(100)
    buffer.started(ORDERS, 3)
    assert buffer.take_commits() == {ORDERS: 3}
