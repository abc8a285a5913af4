"""Tests of damaged or missing DuckDB files: named with the remedy, and no obstacle to another generation."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from sinks.duckdb.store import DuckdbStore
from sinks.errors import GenerationBroken
from sinks.generation import GenerationMetadata, GenerationState
from sinks.shape import RowShape

SHAPES = [RowShape("orders", ("id",), {"id": "bigint"})]
REMEDY = "readmodels replay duckdb --execute"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Return the directory of one live generation, which no process has open."""
    with closing(DuckdbStore(tmp_path, SHAPES)) as store:
        store.create(1, GenerationMetadata(shapes=tuple(SHAPES)))
        store.sink(1).cutover()
    return tmp_path


def gone(file: Path) -> None:
    file.unlink()


def replaced(file: Path) -> None:
    file.write_bytes(b"something else" * 1000)


def halved(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def overwritten(file: Path) -> None:
    with file.open("r+b") as content:
        content.seek(4096)
        content.write(os.urandom(8192))


DAMAGES = [gone, replaced, halved, overwritten]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_live_file_that_is_damaged_or_gone_is_named_with_the_remedy(
    directory: Path, damage: Callable[[Path], None]
) -> None:
    damage(directory / "000001.duckdb")
    with closing(DuckdbStore(directory, SHAPES)) as store:
        store.open()
        with pytest.raises(GenerationBroken, match="generation 1") as broken:
            store.sink(1).progress()
    assert REMEDY in broken.value.remedy


@pytest.mark.parametrize("damage", DAMAGES)
def test_another_generation_takes_the_place_of_a_damaged_one(directory: Path, damage: Callable[[Path], None]) -> None:
    damage(directory / "000001.duckdb")
    with closing(DuckdbStore(directory, SHAPES)) as store:
        store.create(2, GenerationMetadata(shapes=tuple(SHAPES)))
        store.sink(2).cutover()
        store.drop(1)
        assert store.instance().execute("FROM orders").fetchall() == []
        assert (store.live(), list(store.generations())) == (2, [2])


def test_a_worker_never_fills_an_empty_file_in_the_place_of_the_live_one(directory: Path) -> None:
    (directory / "000001.duckdb").unlink()
    with closing(DuckdbStore(directory, SHAPES)) as store, pytest.raises(GenerationBroken, match="is gone"):
        store.sink(1).prepare()
    assert not (directory / "000001.duckdb").exists()


def test_a_wal_that_cannot_be_replayed_is_named_with_the_remedy(directory: Path) -> None:
    wal = directory / "000001.duckdb.wal"
    with closing(DuckdbStore(directory, SHAPES)) as store, store.connection(1) as connection:
        connection.execute("CREATE TABLE main.more AS SELECT range FROM range(10000)")
        (content, file) = (wal.read_bytes(), (directory / "000001.duckdb").read_bytes())
    damaged = bytearray(content)
    damaged[len(content) // 3 : len(content) // 3 + 100] = os.urandom(100)
    (directory / "000001.duckdb").write_bytes(file)
    wal.write_bytes(damaged)
    with closing(DuckdbStore(directory, SHAPES)) as store, pytest.raises(GenerationBroken) as broken:
        store.sink(1).progress()
    assert REMEDY in broken.value.remedy


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"live": 1}', b"\xff\xfe", b'{"live": 1, "records": {"x": 1}}']
)
def test_a_damaged_catalog_is_reported_with_a_remedy_and_repaired_by_a_writer(directory: Path, content: bytes) -> None:
    (directory / "generations.json").write_bytes(content)
    with closing(DuckdbStore(directory, SHAPES)) as store:
        with pytest.raises(GenerationBroken, match=r"generations\.json") as broken:
            store.live()
        assert REMEDY in broken.value.remedy
        store.mend()
        assert store.live() is None
        assert store.generations()[1].state(is_live=False) is GenerationState.REJECTED


def test_one_damaged_record_makes_its_own_generation_unreadable_only(directory: Path) -> None:
    with closing(DuckdbStore(directory, SHAPES)) as store:
        store.create(2, GenerationMetadata(shapes=tuple(SHAPES)))
    ledger = directory / "generations.json"
    content = json.loads(ledger.read_text())
    ledger.write_text(json.dumps({**content, "records": {**content["records"], "1": "{"}}))
    with closing(DuckdbStore(directory, SHAPES)) as store:
        assert [one.is_unreadable for one in store.generations().values()] == [True, False]
