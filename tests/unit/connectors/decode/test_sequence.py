"""Tests of parsing `source.sequence`, in whole columns or one by one."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.decode.sequence import parse_lsns

numbers = st.integers(0, 2**63 - 1) | st.integers(10**7, 10**8)
pairs = st.tuples(st.none() | numbers, numbers)


def written(pair: tuple[int | None, int]) -> str:
    commit, own = pair
    return f'["{commit}","{own}"]' if commit is not None else f'[null,"{own}"]'


@given(st.lists(pairs))
def test_every_pair_is_read_back(places: list[tuple[int | None, int]]) -> None:
    commit, own = parse_lsns(pa.array([written(place) for place in places], pa.string()))
    assert [*zip(commit.to_pylist(), own.to_pylist(), strict=True)] == places


@given(st.lists(st.tuples(st.integers(10**7, 10**8 - 1), st.integers(10**7, 10**8 - 1)), min_size=1))
def test_pairs_of_one_width_are_read_back_from_any_part_of_an_array(places: list[tuple[int, int]]) -> None:
    texts = pa.array(["", *map(written, places), ""]).slice(1, len(places))
    commit, own = parse_lsns(texts)
    assert [*zip(commit.to_pylist(), own.to_pylist(), strict=True)] == places


@pytest.mark.parametrize(
    "other",
    [None, "", '["1a","22"]', "[null,null]", '["11";"22"]', '["11","22"] ', '["11","22"', '["1","222"]', '["-1","22"]'],
)
def test_one_text_out_of_the_ordinary_changes_no_other(other: str | None) -> None:
    commit, own = parse_lsns(pa.array(['["33","44"]', other, '["55","66"]'], pa.string()))
    assert [commit.to_pylist()[n] for n in (0, 2)] == [33, 55]
    assert [own.to_pylist()[n] for n in (0, 2)] == [44, 66]
    assert own.to_pylist()[1] == (222 if other == '["1","222"]' else None)
