"""Tests of a complete teardown and a new set-up."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import urllib3

from connectors.kafka_connect import ConnectClient
from connectors.topics import describe
from pipeline.ingest.groups import committed_topics
from pipeline.teardown.log import GROUP
from tests.acceptance.cli_runner import Command
from tests.acceptance.pipeline_fixture import Pipeline
from tests.acceptance.shop import place

HTTP = urllib3.PoolManager()
CHANGED = """
[envelopes.connector]
name = "renamed"
"slot.name" = "renamed"
"""


def test_teardown_removes_what_exists_whatever_is_defined_and_init_creates_everything_again(
    pipeline: Pipeline, order_id: int, tmp_path: Path
) -> None:
    place(pipeline.source, order_id)
    pipeline.settled()
    pipeline.end()
    changed = described_otherwise(pipeline, tmp_path)
    strangers = f"{pipeline.endpoints.elasticsearch}/orders-900000"
    assert HTTP.request("PUT", strangers).status == 200

    pipeline.stack.stop("redis")
    partly = changed("teardown", "--execute")
    pipeline.stack.start("redis")
    assert partly.returncode == 1, partly.stdout + partly.stderr
    assert "Redis does not answer" in partly.stderr
    assert "removed connector postgres-orders-cdc" in partly.stdout
    shown = changed("teardown")
    assert "would remove" in shown.stdout
    assert [line.split()[0] for line in shown.stdout.splitlines() if line.startswith("  ")] == ["redis"]
    done = changed("teardown", "--execute")
    assert done.returncode == 0, done.stdout + done.stderr
    assert remains(pipeline) == ["orders-900000"]
    assert HTTP.request("DELETE", strangers).status == 200
    assert pipeline.source.execute("SELECT count(*) FROM orders WHERE id = %s", [order_id]).fetchone() == (1,)

    again = pipeline.command("teardown", "--execute")
    assert (again.returncode, again.stdout.count("unchanged")) == (0, 9)
    done = pipeline.command("init")
    assert done.returncode == 0, done.stdout + done.stderr
    pipeline.keep_running()
    assert order_id in pipeline.settled().documents


def described_otherwise(pipeline: Pipeline, folder: Path) -> Command:
    """Return the command with definitions in which every name has changed since the set-up."""
    described = pipeline.command.config.read_text()
    for before, now in (
        ('topic_prefix = "cdc"', 'topic_prefix = "renamed"'),
        ("[documents.orders", "[documents.renamed"),
        ("[tables.order_items", "[tables.renamed_items"),
        ('table = "order_items"', 'table = "renamed_items"'),
    ):
        assert before in described
        described = described.replace(before, now)
    file = folder / "readmodels.toml"
    file.write_text(described + CHANGED)
    return replace(pipeline.command, config=file)


def remains(pipeline: Pipeline) -> list[str]:
    """Return the names of what a teardown should have removed, and has not."""
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
    found += committed_topics(pipeline.settings.kafka, GROUP)
    found += HTTP.request("GET", f"{pipeline.endpoints.elasticsearch}/orders*").json()
    with pipeline.redis() as redis:
        found += [key.decode() for key in redis.scan_iter("*orders*")] + [
            key.decode() for key in redis.keys("readmodels*")
        ]
    directory = pipeline.settings.duckdb.directory
    return found + [file.name for file in directory.iterdir()] if directory.exists() else found
