"""Tests of `readmodels export`: the manifest always lists the model's contents, whenever a run was stopped."""

from __future__ import annotations

import json
import random
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import duckdb
import pyarrow.dataset as ds
import pytest

from pipeline.export.export import NoSuchTable, OpenTarget
from pipeline.export.history_sql import history_sql
from pipeline.export.manifest import ExportDiffers
from pipeline.export.open_target import open_target
from pipeline.export.target import ConcurrentExport, ExportTarget, ManifestVersion, TargetUnavailable
from sinks.shape import RowShape
from tests.unit.pipeline.export.exported_shop import Shop, settings_of, shown

RUNS = 6


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with closing(Shop(tmp_path / "duckdb", random.Random(7))) as opened_shop:
        yield opened_shop


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "export"


@pytest.fixture
def to(folder: Path) -> OpenTarget:
    return partial(open_target, str(folder))


class Stopped(BaseException):
    """Simulates kill -9; no code may catch it."""


@dataclass
class Stopping:
    """An export target that stops its user at one step: before the step, or just after it."""

    place: ExportTarget
    steps_left: float

    @property
    def staging(self) -> Path:
        return self.place.staging

    def manifest(self) -> ManifestVersion | None:
        return self.place.manifest()

    def publish(self, file: Path, name: str) -> None:
        self._step()
        self.place.publish(file, name)
        self._step()

    def replace_manifest(self, content: bytes, before: ManifestVersion | None) -> None:
        self._step()
        self.place.replace_manifest(content, before)
        self._step()

    def prune_files(self, names: Collection[str]) -> int:
        self._step()
        count = self.place.prune_files(names)
        self._step()
        return count

    def _step(self) -> None:
        if self.steps_left == 0:
            raise Stopped
        self.steps_left -= 1


@contextmanager
def stopping(folder: Path, steps: int, name: str) -> Iterator[ExportTarget]:
    """Yield the export target of a name, which stops its user after this many steps."""
    with open_target(str(folder), name) as place:
        yield Stopping(place, steps)


def listed(folder: Path, name: str = "orders_history") -> set[str]:
    """Return the files of a manifest."""
    return {file["name"] for file in json.loads((folder / name / "manifest.json").read_bytes())["files"]}


def there(folder: Path, name: str = "orders_history") -> set[str]:
    """Return the Parquet files beside a manifest, listed or not."""
    return {f"{path.parent.name}/{path.name}" for path in (folder / name).rglob("*.parquet")}


def test_each_run_adds_what_is_new_and_the_whole_is_the_history(shop: Shop, to: OpenTarget, folder: Path) -> None:
    before: set[str] = set()
    for _ in range(RUNS):
        shop.go_on()
        [done] = shop.export(to)
        assert shown(folder) == shop.held()
        assert before < listed(folder) == there(folder)
        assert 0 < done.added_rows <= 12
        before = listed(folder)
    [done] = shop.export(to)
    assert (done.added, done.added_rows, listed(folder)) == (0, 0, before)


def test_a_run_that_is_stopped_at_any_step_leaves_nothing_out_and_nothing_twice(
    shop: Shop, to: OpenTarget, folder: Path
) -> None:
    shop.go_on()
    shop.export(to)
    steps = 0
    ended = False
    while not ended:
        shop.go_on(4)
        before, after = shown(folder), shop.held()
        try:
            shop.export(partial(stopping, folder, steps))
            ended = True
        except Stopped:
            assert shown(folder) in (before, after)
        shop.export(to)
        assert shown(folder) == shop.held()
        assert there(folder) == listed(folder)
        steps += 1
    assert steps > 8


def test_a_rebuilt_generation_is_exported_from_where_the_old_one_ended(
    shop: Shop, to: OpenTarget, folder: Path
) -> None:
    shop.go_on()
    shop.export(to)
    shop.cutover(2)
    shop.go_on()
    [done] = shop.export(to)
    assert done.manifest.extract.generation == 2
    assert 0 < done.added_rows <= 12
    assert shown(folder) == shop.held()


def test_a_repair_is_exported_as_long_as_the_live_generation_has_it(shop: Shop, to: OpenTarget, folder: Path) -> None:
    shop.go_on()
    shop.export(to)
    for total in ("0.01", "0.02"):
        shop.repair(id=77, total=total)
        shop.export(to)
        assert shown(folder) == shop.held()
    assert [row[4] for row in shown(folder) if row[-1] == "repair"] == [row[4] for row in shop.held() if row[0] == 77]
    shop.cutover(2)
    [done] = shop.export(to)
    assert shown(folder) == shop.held()
    assert not [row for row in shown(folder) if row[-1] == "repair"]
    assert there(folder) == listed(folder) | set(done.manifest.replaced)


def test_a_table_is_replaced_and_its_files_are_rows_by_the_day_of_their_commit(
    shop: Shop, to: OpenTarget, folder: Path
) -> None:
    for _ in range(RUNS):
        shop.go_on()
        [done] = shop.export(to, "orders")
        files = [str(folder / "orders" / name) for name in sorted(listed(folder, "orders"))]
        with duckdb.connect() as connection:
            rows = connection.execute(
                "SELECT * EXCLUDE (_special, day) FROM read_parquet(?) ORDER BY ALL", [files]
            ).fetchall()
        assert rows == shop.held("FROM orders ORDER BY ALL")
        assert done.manifest.rows == len(rows)
        assert there(folder, "orders") == listed(folder, "orders") | set(done.manifest.replaced)
        by_day = ds.dataset(files, partitioning="hive").to_table(columns=["id", "day"]).to_pylist()
        days = shop.held(
            "SELECT id, CAST(valid_from AT TIME ZONE 'UTC' AS DATE) FROM orders_history WHERE valid_to IS NULL"
        )
        assert {row["id"]: row["day"] for row in by_day} == {id_: str(day) for id_, day in days}
    [again] = shop.export(to, "orders")
    assert again.added == 0
    assert there(folder, "orders") == listed(folder, "orders")


def test_the_manifest_records_up_to_where_the_export_is_complete(shop: Shop, to: OpenTarget, folder: Path) -> None:
    shop.go_on()
    shop.export(to, "orders", "orders_history")
    [(newest,)] = shop.held("SELECT epoch_us(max(_committed_at)) FROM generation_000001.versions.orders")
    for name in ("orders", "orders_history"):
        told = json.loads((folder / name / "manifest.json").read_bytes())
        assert told["offsets"] == [
            {"topic": "cdc.public.orders", "partition": partition, "next_offset": offset}
            for partition, offset in enumerate(shop._offsets)
        ]
        assert told["mark"] is None
        assert duckdb.execute("SELECT epoch_us(CAST(? AS TIMESTAMPTZ))", [told["newest"]]).fetchall() == [(newest,)]


def test_an_export_of_another_source_is_not_continued(shop: Shop, to: OpenTarget, tmp_path: Path) -> None:
    shop.go_on()
    shop.export(to)
    shop.settings = settings_of(shop.directory, "Europe/Berlin")
    with pytest.raises(ExportDiffers, match="time_zone"):
        shop.export(to)
    for count, objection in ((3, "up to offset"), (40, "versions")):
        with closing(Shop(tmp_path / f"other-{count}", random.Random(8))) as other:
            other.go_on(count)
            with pytest.raises(ExportDiffers, match=objection):
                other.export(to)


def test_two_processes_do_not_export_into_one_folder(shop: Shop, to: OpenTarget) -> None:
    shop.go_on()
    with to("orders_history"), pytest.raises(ConcurrentExport):
        shop.export(to)
    shop.export(to)


def test_a_table_that_cannot_be_exported_is_named(shop: Shop, to: OpenTarget, tmp_path: Path) -> None:
    with pytest.raises(NoSuchTable, match="customers"):
        shop.export(to, "customers")
    (tmp_path / "a file").touch()
    with pytest.raises(TargetUnavailable, match="a file"):
        shop.export(partial(open_target, str(tmp_path / "a file")))


def test_a_name_of_several_lines_stays_within_the_comments_of_the_script() -> None:
    shape = RowShape("odd", ("id",), {"id": "bigint"})
    name = "o\n.shell echo x\n--"
    lines = history_sql(name, shape).splitlines()
    assert len([line for line in lines if line.startswith("--") and "shell" in line]) == 2
    assert f'VIEW "{name}" AS' in history_sql(name, shape)
