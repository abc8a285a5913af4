"""Tests that the bytes sent to Redis equal a simple encoding, change by change."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinks.errors import MutationRejected
from sinks.ordering.register import Change
from sinks.ordering.version_text import encode_version
from sinks.redis.generation import AdaptiveBatchSize
from sinks.redis.resp import EncodedArgs, encode_args, encode_documents, encode_versions
from tests.contract.redis_changes import PartChange, snapshot, streamed, table

LSNS = st.integers(0, 2**63 - 1)
CHANGES = st.builds(
    Change,
    epoch=st.integers(0, 2**31 - 1),
    commit_lsn=LSNS,
    lsn=LSNS,
    tie=st.integers(0, 1),
    offset=st.integers(-1, 2**63 - 1),
    partition=st.integers(0, 2**31 - 1),
    deleted=st.booleans(),
    image=st.none(),
)


def words(sent: EncodedArgs) -> list[bytes]:
    """Parse arguments by the lengths that precede them."""
    data, found, at = bytes(sent.data), [], 0
    while at < len(data):
        end = data.index(b"\r\n", at)
        length = int(data[at + 1 : end])
        found.append(data[end + 2 : end + 2 + length])
        at = end + 2 + length + 2
    assert len(found) == sent.count
    return found


@given(st.lists(CHANGES, min_size=1))
def test_a_column_of_versions_is_that_of_each_change(changes: list[Change]) -> None:
    found = encode_versions(table(PartChange("1", "", False, change) for change in changes)).to_pylist()
    assert found == [encode_version(change).encode() for change in changes]


@given(st.lists(st.one_of(st.text(), st.binary(), st.integers())))
def test_arguments_are_sent_byte_for_byte(values: list[str | bytes | int]) -> None:
    expected = [value if isinstance(value, bytes) else str(value).encode() for value in values]
    assert words(encode_args(*values)) == expected


def test_changes_are_grouped_by_document() -> None:
    late = streamed("42", 20, '{"sku":"é\\r\\n$3"}', "items/7")
    lone = snapshot("9", 30, 5, '{"id":9}')
    gone = streamed("42", 10, None)
    sent = encode_documents("orders:", table([late, lone, gone]))
    assert words(sent.keys_of(0, 2)) == [b"orders:42", b"{orders:42}:r", b"orders:9", b"{orders:9}:r"]
    assert words(sent.changes_of(0, 2)) == [
        *(b"2", b"items/7", text(late), b"", text(gone)),
        *(b"1", b"", text(lone)),
    ]
    assert words(sent.keys_of(1, 2)) == [b"orders:9", b"{orders:9}:r"]
    assert words(sent.changes_of(1, 2)) == [b"1", b"", text(lone)]


def text(part: PartChange) -> bytes:
    """Return a change in a register's format."""
    side = "r" if part.is_snapshot else "s"
    return (side + encode_version(part.change) + str(part.change.image or "")).encode()


def test_nothing_is_sent_for_no_changes() -> None:
    sent = encode_documents("orders:", table([]))
    assert len(sent) == 0
    assert words(sent.changes_of(0, 0)) == []


def test_a_change_without_an_image_is_refused_before_anything_is_sent() -> None:
    whole = streamed("42", 10, None)
    with pytest.raises(MutationRejected):
        encode_documents("orders:", table([whole._replace(change=whole.change._replace(deleted=False))]))


def test_a_slice_of_a_larger_table_is_sent_as_itself() -> None:
    whole = table([streamed(str(key), 10 + key, f'{{"id":{key}}}') for key in range(10)])
    sent = encode_documents("orders:", whole.slice(4, 3))
    assert words(sent.keys_of(0, 3))[::2] == [b"orders:4", b"orders:5", b"orders:6"]
    assert words(sent.changes_of(2, 3))[2].endswith(b'{"id":6}')


def test_a_run_keeps_to_both_limits_and_has_one_document_at_least() -> None:
    sent = encode_documents("orders:", table([streamed(str(key), 1, "x" * 1000) for key in range(10)]))
    assert sent.chunk_end(0, most=4, most_bytes=10**6) == 4
    assert sent.chunk_end(8, most=4, most_bytes=10**6) == 10
    assert sent.chunk_end(3, most=4, most_bytes=2500) == 5
    assert sent.chunk_end(3, most=4, most_bytes=10) == 4


@pytest.mark.parametrize(("elapsed_s", "next_documents"), [(0.010, 50), (0.005, 100), (0.0001, 200), (1.0, 25)])
def test_calls_become_as_long_as_5_ms_allow(elapsed_s: float, next_documents: int) -> None:
    pace = AdaptiveBatchSize(documents=100)
    for _ in range(2):
        pace.record(100, elapsed_s)
    assert pace.documents == next_documents


def test_one_slow_call_among_quick_ones_changes_nothing() -> None:
    pace = AdaptiveBatchSize(documents=100)
    for elapsed_s in (0.005, 0.005, 1.0, 0.005):
        pace.record(100, elapsed_s)
        assert pace.documents == 100
