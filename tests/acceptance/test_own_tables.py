"""Test of a stranger's tables: equal models in three commands, and the database as it was after `teardown`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from redis import Redis

from pipeline.postgres.database import Connection, connect
from tests.acceptance.cli_runner import Command
from tests.acceptance.generations import succeeds
from tests.acceptance.pipeline_fixture import Pipeline
from tests.integration.isolated_source import own_database
from tests.support.redis_server import OwnServer

NAME = "own_tables"
SCHEMA = Path(__file__).with_name("schemas") / "sales.sql"

CHANGES = (
    "UPDATE sales.customers SET since = NULL, tags = NULL WHERE name = 'customer 3'",
    'UPDATE sales."OrderLine" SET qty = qty + 1 WHERE line = 2',
    'DELETE FROM sales."OrderHeader" WHERE id IN (5, 6)',
    'UPDATE sales."OrderLine" SET order_id = 7, line = 100 WHERE order_id = 8 AND line = 1',
    """INSERT INTO sales."OrderHeader" VALUES (100, NULL, 'NaN', DEFAULT)""",
    'UPDATE sales."OrderHeader" SET id = 101 WHERE id = 100',
    'TRUNCATE sales."order$items"',
    'INSERT INTO sales."order$items" VALUES (2, NULL, 5)',
)

CATALOG = """
SELECT 'table', nspname || '.' || relname, relreplident::text, coalesce(relacl, acldefault('r', relowner))::text
FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE nspname <> ALL ('{pg_catalog,pg_toast,information_schema}') AND relkind = 'r'
UNION ALL SELECT 'schema', nspname, '', coalesce(nspacl, acldefault('n', nspowner))::text FROM pg_namespace
UNION ALL SELECT 'publication', pubname, '', '' FROM pg_publication
UNION ALL SELECT 'slot', slot_name, '', '' FROM pg_replication_slots WHERE database = current_database()
ORDER BY 1, 2
"""


@pytest.fixture
def shop(deployed: Pipeline) -> Iterator[tuple[Connection, dict[str, str]]]:
    """Yield a database with a stranger's tables, and the environment that names it. Workers of others are stopped."""
    deployed.end()
    with own_database(deployed.endpoints, NAME) as source, closing(connect(source.url)) as owner:
        owner.execute(SCHEMA.read_bytes())
        yield (
            owner,
            {
                "READMODELS_SOURCE__URL": source.url,
                "READMODELS_SOURCE__ADMIN_URL": source.admin_url,
                "READMODELS_TOPIC_PREFIX": NAME,
                "READMODELS_ENVELOPES": json.dumps({"connector": {"name": NAME, "slot.name": NAME}}),
                "READMODELS_DUCKDB__SERVE": "",
                "READMODELS_DUCKDB__COPY_TO": "",
            },
        )


def test_a_strangers_tables_become_equal_models_and_teardown_leaves_the_database_as_it_was(
    deployed: Pipeline, shop: tuple[Connection, dict[str, str]], tmp_path: Path
) -> None:
    owner, environment = shop
    before = owner.execute(CATALOG).fetchall()
    redis = OwnServer().start()
    environment |= {"READMODELS_REDIS__URL": redis.url, "READMODELS_DUCKDB__DIRECTORY": str(tmp_path / "duckdb")}
    readmodels = Command(deployed.stack.home, tmp_path / "readmodels.toml", environment)
    try:
        left_out = readmodels("introspect", "sales.*", "--output", str(tmp_path / "readmodels.toml"))
        assert "sales.without_key is left out: it has no primary key" in left_out.stderr
        assert 'ALTER TABLE sales."OrderHeader" REPLICA IDENTITY FULL;' in succeeds(readmodels("init"))
        assert owner.execute(CATALOG).fetchall() == before
        succeeds(readmodels("init", "--execute"))
        for change in CHANGES:
            owner.execute(change.encode())
        succeeds(readmodels("run", "--until-caught-up"))
        compared = json.loads(succeeds(readmodels("verify", "--json")))
        assert (compared["is_equal"], compared["differences"]) == (True, [])
        assert {one["model"] for one in compared["models"]} == {"elasticsearch", "redis", "duckdb"}
        with Redis.from_url(redis.url) as client:
            [order] = [json.loads(client.get(key) or b"") for key in client.keys("order_header:7")]
        lines = owner.execute('SELECT line, total::text FROM sales."OrderLine" WHERE order_id = 7 ORDER BY line')
        assert [(one["line"], one["total"]) for one in order["order_line"]] == lines.fetchall()
        assert order["order_line"][-1]["line"] == 100
        succeeds(readmodels("introspect", "sales.*", "--diff"))
        succeeds(readmodels("teardown", "--execute"))
        assert owner.execute(CATALOG).fetchall() == before
    finally:
        readmodels("teardown", "--execute")
        redis.stop()
