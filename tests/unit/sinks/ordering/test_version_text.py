"""Tests that a change's position as text compares as the change does, and can be parsed back."""

from __future__ import annotations

import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

import sinks.redis
from sinks.ordering.register import NO_OFFSET, Change
from sinks.ordering.version_text import FIELDS, ORDER_LENGTH, VERSION_LENGTH, decode_version, encode_version
from tests.support.profiles import times

HIGHEST = 2**63 - 1
"""The highest LSN and offset that an Arrow table holds."""

SUBSTRING_OF_CHANGE = r"local function (\w+)\(change\) return sub\(change, (\d+), (\d+)\)"

positions = st.sampled_from([0, 1, 2**53, 2**53 + 1, HIGHEST]) | st.integers(0, HIGHEST)
changes = st.builds(
    Change,
    epoch=st.integers(0, 2) | st.integers(0, 2**31 - 1),
    commit_lsn=positions,
    lsn=positions,
    tie=st.integers(0, 1),
    offset=st.just(NO_OFFSET) | positions,
    partition=st.integers(0, 2**31 - 1),
    deleted=st.booleans(),
)


@times(5)
@given(one=changes, other=changes)
def test_a_version_as_text_compares_as_its_change_does(one: Change, other: Change) -> None:
    texts = encode_version(one)[:ORDER_LENGTH], encode_version(other)[:ORDER_LENGTH]
    assert (texts[0] < texts[1]) == (one.order < other.order)
    assert (texts[0] == texts[1]) == (one.order == other.order)


@times(5)
@given(change=changes, image=st.none() | st.text())
def test_a_version_as_text_reads_back_as_the_change_that_was_written(change: Change, image: str | None) -> None:
    assert decode_version(encode_version(change), image) == change._replace(image=image)


def test_the_scripts_of_redis_find_every_field_where_a_version_has_it() -> None:
    script = (Path(sinks.redis.__file__).parent / "lua" / "register.lua").read_text()
    found = {name: (int(begin), int(end)) for name, begin, end in re.findall(SUBSTRING_OF_CHANGE, script)}
    # A change has its side before its version, and Lua counts from one.
    places = {name: (place.start + 2, place.stop + 1) for name, place in FIELDS.items()}
    assert found == {
        "order": (2, ORDER_LENGTH + 1),
        "epoch": places["epoch"],
        "commit_lsn": places["commit_lsn"],
        "lsn": places["lsn"],
        "inverted_offset": places["offset"],
        "partition": places["partition"],
    }
    assert f"local FLAG = {VERSION_LENGTH + 1}\nlocal IMAGE = {VERSION_LENGTH + 2}\n" in script
