"""Tests of records that wait between the polling thread and the worker, and of their spans."""

from __future__ import annotations

from confluent_kafka import Message

from pipeline.ingest.partition_buffer import PartitionBuffer
from sinks.batch import OffsetRange, TopicPartition

ORDERS, ITEMS = ("orders", 0), ("items", 1)


def message(topic_partition: TopicPartition, offset: int, value: bytes | None = b"value") -> Message:
    return Message(topic=topic_partition[0], partition=topic_partition[1], offset=offset, key=b"key", value=value)


def begun(**topic_partitions: int) -> PartitionBuffer:
    polled = PartitionBuffer()
    for topic, offset in topic_partitions.items():
        polled.begin((topic, 0 if topic == "orders" else 1), offset)
    return polled


def test_a_span_begins_where_the_last_one_ended_also_over_gaps() -> None:
    polled = begun(orders=5)
    polled.add([message(ORDERS, 7), message(ORDERS, 9)], {})
    assert polled.take(100)[1] == OffsetRange({ORDERS: 5}, {ORDERS: 10})
    polled.add([message(ORDERS, 12)], {})
    assert polled.take(100)[1] == OffsetRange({ORDERS: 10}, {ORDERS: 13})


def test_records_are_handed_over_by_topic_in_their_order() -> None:
    polled = begun(orders=0, items=0)
    polled.add([message(ORDERS, 0, b"a"), message(ITEMS, 0, b"b"), message(ORDERS, 1, None)], {})
    records, _ = polled.take(100)
    assert [(one.topic, one.values, one.offsets.tolist()) for one in records] == [
        ("orders", [b"a", None], [0, 1]),
        ("items", [b"b"], [0]),
    ]


def test_the_remaining_records_begin_the_next_span() -> None:
    polled = begun(orders=0, items=0)
    polled.add([message(ORDERS, 0), message(ORDERS, 1), message(ITEMS, 3), message(ORDERS, 2)], {})
    records, span = polled.take(2)
    assert sum(len(one) for one in records) == 2
    assert span.end[ORDERS] == 2
    # No items were taken: their span may end no further than at the first remaining record.
    assert span.end.get(ITEMS, 0) <= 3
    _, rest = polled.take(2)
    assert (rest.begin[ORDERS], rest.end) == (2, {ORDERS: 3, ITEMS: 4})


def test_the_end_of_a_partition_moves_its_span_past_control_records() -> None:
    polled = begun(orders=5)
    polled.add([message(ORDERS, 5)], {ORDERS: 7})
    assert polled.take(100)[1].end == {ORDERS: 7}


def test_a_move_without_records_waits_for_one_to_travel_with() -> None:
    polled = begun(orders=5)
    polled.add([], {ORDERS: 6})
    assert not polled.has_batch(idle_s=3600)
    assert polled.has_batch(idle_s=0)
    polled.add([message(ORDERS, 6)], {})
    assert polled.has_batch(idle_s=3600)


def test_nothing_is_worth_taking_where_nothing_moved() -> None:
    polled = begun(orders=5)
    polled.add([], {ORDERS: 5})
    assert not polled.has_batch(idle_s=0)


def test_records_of_a_partition_that_has_not_started_do_not_count() -> None:
    polled = begun(orders=0)
    polled.add([message(ITEMS, 3), message(ORDERS, 0)], {ITEMS: 9})
    records, span = polled.take(100)
    assert [one.topic for one in records] == ["orders"]
    assert span == OffsetRange({ORDERS: 0}, {ORDERS: 1})


def test_a_partition_that_starts_again_drops_its_polled_records() -> None:
    polled = begun(orders=0, items=0)
    polled.add([message(ORDERS, 8), message(ITEMS, 0)], {})
    polled.begin(ORDERS, 3)
    records, span = polled.take(100)
    assert [one.topic for one in records] == ["items"]
    assert ORDERS not in span.end
    polled.add([message(ORDERS, 3)], {})
    assert polled.take(100)[1] == OffsetRange({ORDERS: 3}, {ORDERS: 4})


def test_a_dropped_partition_is_removed_with_its_records() -> None:
    polled = begun(orders=0, items=0)
    polled.add([message(ORDERS, 0), message(ITEMS, 0)], {})
    polled.drop([ORDERS])
    assert polled.shards() == {ITEMS}
    assert polled.record_count == 1
