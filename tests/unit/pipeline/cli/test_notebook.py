"""Tests that run the notebook from its first cell to its last."""

from __future__ import annotations

import random
from contextlib import closing
from pathlib import Path

from docs.guides.notebook import app
from tests.unit.pipeline.export.exported_shop import Shop


def test_the_notebook_shows_the_report_and_answers_its_question(tmp_path: Path) -> None:
    with closing(Shop(tmp_path / "duckdb", random.Random(7))) as shop:
        shop.go_on(20)
        held = shop.held("SELECT count(*) FROM orders")
    outputs, definitions = app.run(defs={"settings": shop.settings})
    assert "Where orders stand" in definitions["report"]
    assert [(definitions["found"].rows.num_rows,)] == held
    assert any("<iframe" in str(getattr(output, "text", "")) for output in outputs)
