"""Tests that parts of a deployment are recognized by their content, and foreign files are left alone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from pipeline import read_models
from pipeline.config import Settings
from pipeline.definitions import DocumentDefinition, ModelDefinitions, TableDefinition
from pipeline.teardown.found import Area, NotRemoved, RemovablePart
from pipeline.teardown.models import add_noted_directories, find_others
from pipeline.teardown.traces import Traces, forget_traces, of_record, read_traces, write_traces
from sinks.duckdb.removal import COPIES, record_copy, recorded_copies, remove_files
from sinks.duckdb.store import DuckdbStore
from sinks.elasticsearch.removal import generation_of
from sinks.epoch import Epoch, EpochKind
from sinks.errors import StoreUnavailable
from sinks.generation import UNREADABLE_METADATA, GenerationMetadata
from sinks.shape import DocumentShape, RowShape
from tests.toy_store.read_model import FILE, TOY, open_store

ORDERS = RowShape("orders", ("id",), {"id": "bigint"})
OURS = {"topic cdc.public.orders": "ours, 6 partitions", "source system": "7"}


def record(
    fingerprint: Mapping[str, str] | None = None, prefix: str = "cdc", table: str = "orders"
) -> GenerationMetadata:
    """Return metadata of a generation of one document model, with a log of this fingerprint or without one."""
    made_of = TableDefinition(source=f"public.{table}", key=("id",), columns={"id": "bigint"})
    definitions = ModelDefinitions(
        topic_prefix=prefix, tables={table: made_of}, documents={table: DocumentDefinition(root=table)}
    )
    epoch = Epoch(
        number=0, kind=EpochKind.FIRST, fingerprint=fingerprint or {}, opened_at=datetime(2026, 1, 2, tzinfo=UTC)
    )
    shapes = (DocumentShape(table, {"id": "bigint"}),)
    return GenerationMetadata(shapes=shapes, contract=definitions.to_json(), epochs=(epoch,) if fingerprint else ())


KNOWN = of_record(record(OURS))


@pytest.mark.parametrize(
    ("other", "is_own"),
    [
        pytest.param(record(OURS, prefix="renamed"), True, id="it is fed from a topic of the deployment"),
        pytest.param(record(), True, id="it was never fed, and is made of topics of the deployment"),
        pytest.param(record(prefix="other"), False, id="it was never fed, and is made of other topics"),
        pytest.param(record({"topic cdc.public.orders": "theirs, 6 partitions"}), False, id="its topic has another id"),
        pytest.param(
            record({"topic cdc.public.x": "theirs"}, table="x"), False, id="only the topics' prefix is the same"
        ),
        pytest.param(UNREADABLE_METADATA, False, id="its metadata is damaged"),
    ],
)
def test_a_generation_belongs_to_the_deployment_whose_topics_it_reads(other: GenerationMetadata, is_own: bool) -> None:
    assert KNOWN.is_of(other, "7") is is_own


def test_without_topic_ids_a_generation_of_another_source_does_not_belong_to_the_deployment() -> None:
    by_name = Traces(topics=frozenset({"cdc.public.orders"}))
    assert by_name.is_of(record(OURS), "7")
    assert by_name.is_of(record(OURS), "")
    assert not by_name.is_of(record(OURS), "8")


def test_a_copy_of_an_index_is_not_a_generation() -> None:
    held = record(OURS)
    assert generation_of("orders-000001", held) == ("orders", 1)
    for copied in ("orders-000001-copy", "my-orders-000001", "orders-1", "orders"):
        assert generation_of(copied, held) is None


def test_traces_are_kept_until_everything_is_removed(tmp_path: Path) -> None:
    directory = tmp_path / "duckdb"
    assert not read_traces(directory)
    write_traces(directory, KNOWN)
    assert read_traces(directory) == KNOWN
    forget_traces(directory)
    assert not directory.exists()


def test_files_that_duckdb_did_not_make_stay_when_its_own_are_removed(tmp_path: Path) -> None:
    store = DuckdbStore(tmp_path, [ORDERS])
    store.create(1, GenerationMetadata())
    store.sink(1).cutover()
    store.close()
    exported = tmp_path / "export" / "orders.parquet"
    exported.parent.mkdir()
    for mine in (exported, tmp_path / "notes.duckdb"):
        mine.write_text("of somebody else")
    (tmp_path / "inbox").mkdir()
    remove_files(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["export", "notes.duckdb"]
    assert exported.exists()


def test_a_directory_that_holds_nothing_else_goes_with_its_files(tmp_path: Path) -> None:
    store = DuckdbStore(tmp_path / "duckdb", [ORDERS])
    store.create(1, GenerationMetadata())
    store.close()
    remove_files(tmp_path / "duckdb")
    assert not (tmp_path / "duckdb").exists()


def test_every_file_that_was_published_is_known_when_the_setting_changes(tmp_path: Path) -> None:
    for name in ("first", "second", "first"):
        record_copy(tmp_path, tmp_path / name)
    assert recorded_copies(tmp_path) == [tmp_path / "first", tmp_path / "second"]
    assert (tmp_path / COPIES).exists()


def test_a_part_that_cannot_be_removed_is_named_and_the_others_are_removed() -> None:
    removed: list[str] = []

    def refuse() -> None:
        raise StoreUnavailable("nobody answers")

    area = Area("model", [RemovablePart("first", refuse), RemovablePart("second", lambda: removed.append("second"))])
    names, [failed] = area.remove()
    assert (names, removed) == (["second"], ["second"])
    assert str(failed) == "first is not removed: nobody answers"
    assert failed.remedy == StoreUnavailable.remedy
    with pytest.raises(NotRemoved):
        area.carry_out()


def test_a_directory_that_init_used_before_is_found_if_its_generations_are_of_the_deployment(tmp_path: Path) -> None:
    for name, held in (("before", record(OURS)), ("others", record({"topic cdc.public.orders": "theirs"}))):
        store = DuckdbStore(tmp_path / name, [ORDERS])
        store.create(1, held)
        store.close()
    area = Area("duckdb model")
    directories = [tmp_path / name for name in ("before", "others", "gone")]
    found = add_noted_directories(area, directories, KNOWN, "7")
    assert [one.name for one in area.found] == [f"directory {tmp_path / 'before'} with 000001.duckdb"]
    assert found.topic_ids == KNOWN.topic_ids
    area.carry_out()
    assert [path.name for path in tmp_path.iterdir()] == ["others"]


def test_an_added_store_is_emptied_unless_a_generation_of_another_deployment_is_in_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(FILE, str(tmp_path / "toy"))
    monkeypatch.setitem(read_models.READ_MODELS, TOY.name, TOY)
    settings = cast(
        "Settings", SimpleNamespace(definitions=ModelDefinitions(topic_prefix="cdc", tables={}, documents={}))
    )
    store = open_store(settings)
    store.create(1, record(OURS))
    store.create(2, record({"topic cdc.public.orders": "theirs, 6 partitions"}))
    (shared,) = find_others(settings, KNOWN, "7")
    assert (shared.found, len(shared.left)) == ([], 1)
    store.drop(2)
    (own,) = find_others(settings, KNOWN, "7")
    own.remove()
    assert store.generations() == {}
