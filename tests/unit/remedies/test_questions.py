"""Tests of the remedies of queries and exports, carried out verbatim: problem, printed text, solution."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import duckdb
import pytest

from pipeline import read_models
from pipeline.config import Settings
from pipeline.export.export import NoSuchTable
from pipeline.export.manifest import ExportDiffers
from pipeline.export.open_target import open_target
from pipeline.export.target import ConcurrentExport, TargetUnavailable
from pipeline.postgres.incremental_snapshot import SignalTooLong, SnapshotRequest
from pipeline.query.as_of import NoHistory, rewrite_as_of
from pipeline.query.query import QuackNotServed, QueryFailed, run_query
from pipeline.read_models import UnknownModel
from sinks.duckdb.analytics_views import shipped_views
from sinks.duckdb.query_check import AnyName, QueryRefused, require_reads
from sinks.duckdb.serving import ServingSettings, files_of, load_extensions, serve
from tests.remedies.commands import settings as named_settings
from tests.support.checkout import CHECKOUT
from tests.unit.pipeline.export.exported_shop import Shop, settings_of, shown
from tests.unit.sinks.duckdb.quack import TOKEN, free_address

THEN = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with closing(Shop(tmp_path / "duckdb", random.Random(7))) as made:
        made.go_on()
        yield made


@pytest.fixture
def idle(shop: Shop) -> Settings:
    """Return settings for a model whose files no worker has open."""
    shop.close()
    return shop.settings


def quoted(remedy: str) -> list[str]:
    """Return the words in backquotes of a remedy."""
    return re.findall(r"`([^`]+)`", remedy)


def test_a_table_without_a_past_is_asked_by_its_plain_name(idle: Settings) -> None:
    def asked(query: str) -> int:
        return len(run_query(idle, rewrite_as_of(query, THEN, ["orders"], shipped_views("UTC"))).to_pylist())

    with pytest.raises(NoHistory) as refused:
        asked("FROM main.orders")
    [plain, *columns] = quoted(refused.value.remedy)
    assert asked(plain) >= 0
    with pytest.raises(NoHistory):
        asked("FROM orders_history")
    assert "leave out --as-of" in refused.value.remedy
    assert run_query(idle, f"SELECT {', '.join(columns)} FROM orders_history").num_rows > 0


def test_a_failed_query_is_corrected_with_the_statements_that_list_tables_and_columns(idle: Settings) -> None:
    with pytest.raises(QueryFailed) as failed:
        run_query(idle, "SELECT state FROM orders")
    told = [run_query(idle, statement).to_pylist() for statement in quoted(failed.value.remedy)]
    assert "orders" in {row["name"] for row in told[0]}
    assert "status" in {row["column_name"] for row in told[1]}
    assert run_query(idle, "SELECT status FROM orders").num_rows > 0


def test_a_refused_query_is_asked_with_one_select_of_the_functions_that_the_page_allows() -> None:
    for query in ("DROP TABLE orders", "SELECT 1; SELECT 2", "FROM read_csv('/etc/passwd')"):
        with pytest.raises(QueryRefused) as refused:
            require_reads(query, AnyName())
    assert "one SELECT statement" in refused.value.remedy
    [page] = re.findall(r"docs/[\w/-]+\.md", refused.value.remedy)
    assert "SELECT" in (CHECKOUT / page).read_text()
    require_reads("SELECT upper(status) FROM orders", AnyName())


def test_readers_are_served_once_the_named_settings_are_set(shop: Shop) -> None:
    with pytest.raises(QuackNotServed) as refused:
        run_query(shop.settings, "SELECT 42 AS it")
    assert named_settings(refused.value.remedy) == [("duckdb", "serve"), ("duckdb", "token")]
    address = free_address()
    own = shop.settings.model_copy(update={"duckdb": _with(shop.settings, serve=address, token=TOKEN)})
    with closing(serve(shop.store.instance(), ServingSettings(address, TOKEN, files_of(shop.directory)))):
        assert run_query(own, "SELECT 42 AS it").to_pylist() == [{"it": 42}]


def test_a_name_that_is_no_table_is_replaced_by_one_of_the_named(shop: Shop, tmp_path: Path) -> None:
    with pytest.raises(NoSuchTable) as refused:
        shop.export(partial(open_target, str(tmp_path / "export")), "customers")
    tables = quoted(refused.value.remedy)
    assert len(shop.export(partial(open_target, str(tmp_path / "export")), *tables)) == len(tables) == 2


def test_an_export_of_something_else_goes_into_an_empty_folder(shop: Shop, tmp_path: Path) -> None:
    shop.export(partial(open_target, str(tmp_path / "export")))
    before = shown(tmp_path / "export")
    shop.settings = settings_of(shop.directory, "Europe/Berlin")
    with pytest.raises(ExportDiffers) as differs:
        shop.export(partial(open_target, str(tmp_path / "export")))
    assert "export to an empty target" in differs.value.remedy
    shop.export(partial(open_target, str(tmp_path / "empty")))
    assert shown(tmp_path / "export") == before


def test_an_export_of_a_model_that_is_behind_is_repeated_once_it_has_caught_up(tmp_path: Path) -> None:
    to = partial(open_target, str(tmp_path / "export"))
    with closing(Shop(tmp_path / "ahead", random.Random(7))) as ahead:
        ahead.go_on(12)
        ahead.export(to)
    with closing(Shop(tmp_path / "behind", random.Random(7))) as behind:
        with pytest.raises(ExportDiffers) as differs:
            behind.export(to)
        assert "repeat the command once it has caught up" in differs.value.remedy
        behind.go_on(12)
        behind.export(to)


def test_an_export_is_run_again_when_the_other_has_ended(shop: Shop, tmp_path: Path) -> None:
    to = partial(open_target, str(tmp_path / "export"))
    with to("orders_history"), pytest.raises(ConcurrentExport) as refused:
        shop.export(to)
    assert "repeat the command when the other export has finished" in refused.value.remedy
    assert len(shop.export(to)) == 1


def test_a_place_that_is_no_folder_becomes_one(shop: Shop, tmp_path: Path) -> None:
    place = tmp_path / "export"
    place.touch()
    with pytest.raises(TargetUnavailable) as refused:
        shop.export(partial(open_target, str(place)))
    assert refused.value.remedy.startswith("Choose a folder that this user can write to")
    place.unlink()
    place.mkdir()
    assert len(shop.export(partial(open_target, str(place)))) == 1


def test_an_unknown_model_is_replaced_by_one_of_the_listed_names() -> None:
    with pytest.raises(UnknownModel) as refused:
        read_models.parse_names(["postgres"])
    named = re.findall(r"`(\w+)`", refused.value.remedy)
    assert [read_models.parse_names([name]) for name in named[:-1]] == [[name] for name in read_models.READ_MODELS]
    assert read_models.parse_names(named[-1:]) == list(read_models.READ_MODELS)


def test_a_condition_that_is_too_long_is_given_as_a_range_of_the_key() -> None:
    with pytest.raises(SignalTooLong) as refused:
        _ = SnapshotRequest(tables=("public.orders",), where=" OR ".join(f"id = {n}" for n in range(1000))).data
    [shorter] = quoted(refused.value.remedy)
    assert shorter in SnapshotRequest(tables=("public.orders",), where=shorter).data


def _with(settings: Settings, **values: str) -> object:
    return type(settings.duckdb)(**{**vars(settings.duckdb), **values})


def test_a_reader_with_another_token_is_refused_with_the_name_of_the_setting(shop: Shop) -> None:
    address = free_address()
    with (
        closing(serve(shop.store.instance(), ServingSettings(address, TOKEN, files_of(shop.directory)))),
        duckdb.connect() as reader,
    ):
        load_extensions(reader)
        with pytest.raises(duckdb.Error, match=r"show the token of `duckdb\.token`"):
            reader.execute("FROM quack_query(?, 'SELECT 42', token := 'another')", [address])
        asked = reader.execute("FROM quack_query(?, 'SELECT 42', token := ?)", [address, TOKEN])
        assert asked.fetchall() == [(42,)]
