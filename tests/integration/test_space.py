"""Tests of the free space that each store reports, and of the size of a generation."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline import read_models
from pipeline.cli.context import local_defaults
from pipeline.config import Settings, load
from pipeline.generations.disk_space import disk_space
from stack.endpoints import Endpoints
from tests.support.checkout import CHECKOUT
from tests.support.redis_server import shared_server

NAME = "space_test"


@pytest.fixture
def settings(endpoints: Endpoints, tmp_path: Path) -> Iterator[Settings]:
    """Yield stores that do not contain these models yet."""
    described = (CHECKOUT / "readmodels.toml").read_text().replace("[documents.orders", f"[documents.{NAME}")
    (tmp_path / "readmodels.toml").write_text(described)
    with shared_server().client() as client:
        client.flushall()
    own = {"redis": {"url": shared_server().url}, "duckdb": {"directory": str(tmp_path / "not" / "there" / "yet")}}
    made = load(tmp_path / "readmodels.toml", local_defaults(endpoints, tmp_path), own)
    yield made
    for model in read_models.READ_MODELS:
        with read_models.open_store(model, made) as store:
            store.drop_all()


@pytest.mark.parametrize("model", read_models.READ_MODELS)
def test_a_model_needs_what_its_live_generation_takes(settings: Settings, model: str) -> None:
    without = disk_space(model, settings)
    assert without.needed_bytes == 0
    assert without.free_bytes > 2**20
    assert not without.findings()
    with read_models.open_store(model, settings) as store:
        sink = store.sink(1)
        sink.prepare()
        sink.cutover()
    with read_models.open_shared(model, settings) as store:
        expected = store.size_bytes(1)
    found = disk_space(model, settings)
    assert found.needed_bytes == pytest.approx(expected, rel=0.5)
    assert found.needed_bytes > 0


def test_redis_has_no_more_than_its_limit(settings: Settings) -> None:
    with shared_server().client() as client:
        client.config_set("maxmemory", "64mb")
        try:
            assert 0 < disk_space("redis", settings).free_bytes < 64 * 2**20
        finally:
            client.config_set("maxmemory", "0")
