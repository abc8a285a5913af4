"""Everything undone, and done again."""

from __future__ import annotations

from contextlib import closing

import urllib3

from connectors.connect import ConnectClient
from connectors.topics import describe
from tests.acceptance.running import Pipeline
from tests.acceptance.shop import place

HTTP = urllib3.PoolManager()


def test_teardown_leaves_nothing_but_the_orders_and_init_builds_everything_anew(
    pipeline: Pipeline, order_id: int
) -> None:
    place(pipeline.source, order_id)
    pipeline.settled()
    pipeline.end()
    done = pipeline.command("teardown", "--execute")
    assert done.returncode == 0, done.stdout + done.stderr
    assert remains(pipeline) == []
    assert pipeline.source.execute("SELECT count(*) FROM orders WHERE id = %s", [order_id]).fetchone() == (1,)
    again = pipeline.command("teardown", "--execute")
    assert (again.returncode, again.stdout.count("unchanged")) == (0, 9)
    done = pipeline.command("init")
    assert done.returncode == 0, done.stdout + done.stderr
    pipeline.keep_running()
    assert order_id in pipeline.settled().documents


def remains(pipeline: Pipeline) -> list[str]:
    """Names of what a teardown should have removed, and has not."""
    names = """
        SELECT slot_name FROM pg_replication_slots
        UNION ALL SELECT pubname FROM pg_publication
        UNION ALL SELECT nspname FROM pg_namespace WHERE nspname = 'readmodels'
        UNION ALL SELECT rolname FROM pg_roles WHERE rolname = 'debezium'"""
    found = [str(name) for (name,) in pipeline.source.execute(names).fetchall()]
    with closing(ConnectClient(pipeline.endpoints.connect)) as client:
        found += client.names()
    connector = pipeline.settings.connector
    topics = [*connector.table_topics, *connector.service_topics, "readmodels.control"]
    found += describe(pipeline.settings.kafka.admin(), topics)
    found += HTTP.request("GET", f"{pipeline.endpoints.elasticsearch}/orders*").json()
    with pipeline.redis() as redis:
        found += [key.decode() for key in redis.scan_iter("*orders*")] + [
            key.decode() for key in redis.keys("readmodels*")
        ]
    return found + [file.name for file in pipeline.settings.duckdb.directory.glob("*.duckdb")]
