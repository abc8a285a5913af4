"""Tests of columns added, dropped and renamed at the source: every model is rebuilt from the log, and equal."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.acceptance.isolated_pipeline import OwnPipeline, own_pipeline
from tests.acceptance.pipeline_fixture import Pipeline
from tests.remedies.commands import commands

NAME = "own_columns"


@pytest.fixture(scope="module")
def own(deployed: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnPipeline]:
    """Yield a pipeline whose log has orders that are older than any change of columns."""
    with own_pipeline(deployed, NAME, tmp_path_factory.mktemp("own")) as made:
        made.succeeds("init", "--execute")
        made.sql("INSERT INTO orders (customer_id) SELECT generate_series(1, 20)")
        made.sql("INSERT INTO order_items (order_id, sku) SELECT generate_series(1, 20), 'a'")
        write(made)
        yield made


def write(own: OwnPipeline) -> None:
    """Change, insert and delete some of the orders and items."""
    own.sql("UPDATE orders SET status = 'paid' WHERE id % 3 = 0")
    own.sql("DELETE FROM orders WHERE id = (SELECT max(id) FROM orders)")
    own.sql("UPDATE order_items SET order_id = order_id + 1 WHERE id % 5 = 0")
    own.sql("DELETE FROM order_items WHERE id = (SELECT max(id) FROM order_items)")
    own.sql("INSERT INTO order_items (order_id, sku) VALUES (1, 'b'), (1, 'c')")


def describe(own: OwnPipeline, before: str, now: str) -> None:
    """Replace a text in the definitions of the columns."""
    described = own.command.config.read_text()
    assert described.count(before) == 1
    own.command.config.write_text(described.replace(before, now))


def test_columns_come_and_go_and_every_model_is_rebuilt_equal(own: OwnPipeline) -> None:
    run = own.start()
    own.settle(run)
    own.sql("ALTER TABLE orders ADD channel text, ADD priority numeric(6, 2) NOT NULL DEFAULT 5.5")
    own.sql("ALTER TABLE order_items ADD gift boolean NOT NULL DEFAULT false")
    own.sql("UPDATE orders SET channel = 'app', priority = 1 WHERE id % 4 = 0")
    write(own)
    describe(own, 'currency = "text"', 'currency = "text"\nchannel = "text"\npriority = "numeric(6,2)"')
    describe(own, 'sku = "text"', 'sku = "text"\ngift = "boolean"')
    said = own.succeeds("replay", "redis", "--execute")
    assert "no priority of type numeric(6,2) (not sent): read as '5.50'" in " ".join(said.split())
    assert "generation 2 is equal" in said
    own.sql("ALTER TABLE orders DROP note")
    own.sql("ALTER TABLE orders RENAME channel TO route")
    write(own)
    own.stopped(run, "MissingColumn", "public.orders is sent without note")
    describe(own, 'note = "text"\n', "")
    describe(own, 'channel = "text"', 'route = "text"')
    differs = own.command("replay", "redis", "--execute")
    assert differs.returncode == 3, differs.stderr
    _, _, remedy = " ".join(differs.stdout.split()).partition("Take a snapshot of the rows")
    for command in commands(remedy):
        said = own.succeeds(*command)
    assert "no worker keeps it current: readmodels run redis" in said
    assert own.succeeds("replay", "elasticsearch", "duckdb", "--execute").count("is equal") == 2
