"""Tests of tables that no snapshot has read, on a real connector: they are named, and `init` snapshots them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import urllib3

from connectors.kafka_connect import ConnectClient
from connectors.notifications import SnapshotStatus
from connectors.topics import Topic, describe
from pipeline.cli.context import local_defaults
from pipeline.config import Settings, load
from pipeline.definitions import TableDefinition
from pipeline.log_scan.assessment import assess
from pipeline.log_scan.finding import FindingReason
from pipeline.log_scan.scan import scan_log
from pipeline.postgres.database import Connection, connect
from pipeline.postgres.preconditions import SourceNotReady
from pipeline.setup.snapshots import complete_snapshots, read_snapshots, snapshot_findings
from pipeline.setup.source import UNCHANGED, Deployment, init_steps, run_steps
from stack.endpoints import Endpoints
from tests.integration.isolated_source import own_deployment, own_tables, teardown_steps
from tests.integration.test_survey import Watched
from tests.remedies.commands import commands
from tests.support.waiting import wait_for

NAME = "snapshots_test"
TIMEOUT_S = 90.0
ROLE = f"{NAME}_replication"
EVERY_TABLE = {
    name.lower(): TableDefinition(source=f"sales.{name}", key=("id",), columns={"id": "integer"})
    for name in ("early", "Late")
}
DESCRIBED = f"""
topic_prefix = "{NAME}"
[tables.early]
source = "sales.early"
key = ["id"]
columns = {{ id = "integer" }}
"""


class Shop:
    """A connector to two tables with a row each, which captures only one at first; nothing has been set up."""

    def __init__(self, deployment: Deployment, settings: Settings, source: Connection) -> None:
        self.deployment = deployment
        self.settings = settings
        self.source = source

    def capturing(self, tables: str) -> Shop:
        connector = self.deployment.connector.with_settings({"table.include.list": tables})
        envelopes = replace(self.settings.envelopes, connector=dict(connector.settings))
        captured = {name: table for name, table in EVERY_TABLE.items() if table.source in tables.split(",")}
        settings = self.settings.model_copy(update={"envelopes": envelopes, "tables": captured})
        return Shop(replace(self.deployment, connector=connector), settings, self.source)

    def set_up(self) -> None:
        run_steps(init_steps(self.deployment), lambda *_: None)

    def keep_only_the_offset_of_its_beginning(self) -> None:
        """Reset the connector to the offset that it stores if it fails at once.

        Later offsets are stored only by chance.
        """
        client = ConnectClient(self.deployment.connect_url)
        client.stop(NAME)
        client.wait_until_stopped(NAME, TIMEOUT_S)
        client.forget_offsets(NAME)
        begun = {"offsets": [{"partition": {"server": NAME}, "offset": {"ts_usec": 0}}]}
        answer = urllib3.request("PATCH", f"{self.deployment.connect_url}/connectors/{NAME}/offsets", json=begun)
        assert answer.status == 200, answer.data
        client.resume(NAME)

    def described(self) -> dict[str, Topic]:
        return describe(self.settings.kafka.admin(), self.settings.definitions.topics)

    def told(self) -> SnapshotStatus | None:
        return read_snapshots(self.settings)

    def problems(self) -> list[str]:
        return [finding.problem for finding in snapshot_findings(self.told(), self.settings)]


@pytest.fixture(scope="module")
def shop(endpoints: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    file = tmp_path_factory.mktemp(NAME) / "readmodels.toml"
    file.write_text(DESCRIBED)
    with own_tables(endpoints, NAME) as database, connect(database.url) as source:
        source.execute("CREATE SCHEMA sales")
        deployment = own_deployment(endpoints, NAME, database)
        flags = {"envelopes": {"connector": dict(deployment.connector.settings)}}
        settings = load(file, local_defaults(endpoints, file.parent), flags)
        settings = settings.model_copy(update={"source": database})
        made = Shop(deployment, settings, source).capturing("sales.early")
        for table in ("sales.early", 'sales."Late"'):
            source.execute(f"CREATE TABLE {table} (id int PRIMARY KEY)")
            source.execute(f"INSERT INTO {table} VALUES (1)")
        run_steps(init_steps(made.deployment)[:1], lambda *_: None)
        yield made
        run_steps(teardown_steps(made.deployment), lambda *_: None)


def test_init_grants_what_the_connector_needs_to_read(shop: Shop) -> None:
    shop.source.execute(f"REVOKE ALL ON SCHEMA sales FROM {ROLE}")
    with pytest.raises(SourceNotReady) as refused:
        run_steps([step for step in init_steps(shop.deployment) if step.name == "preconditions"], lambda *_: None)
    assert refused.value.remedy == f'GRANT USAGE ON SCHEMA sales TO "{ROLE}";'
    run_steps(init_steps(shop.deployment)[:-1], lambda *_: None)


def test_a_snapshot_that_failed_before_its_first_row_is_no_snapshot_and_is_made_up_for(shop: Shop) -> None:
    *before, connector = init_steps(shop.deployment)
    run_steps(before, lambda *_: None)
    shop.source.execute(f"REVOKE USAGE ON SCHEMA sales FROM {ROLE}")
    run_steps([connector], lambda *_: None)
    wait_for(lambda: shop.told() is not None, TIMEOUT_S, lambda: "no snapshot began")
    shop.keep_only_the_offset_of_its_beginning()
    wait_for(lambda: (told := shop.told()) and told.has_ended, TIMEOUT_S, lambda: f"{shop.told()}")
    assert shop.problems() == [
        "no snapshot has read sales.early: its rows from before it was captured are in no read model"
    ]
    assert scan_log(shop.settings, Watched()).never_read == ("sales.early",)
    shop.set_up()
    assert complete_snapshots(shop.settings, lambda _: None) == "taken of sales.early"
    assert shop.problems() == []
    assert complete_snapshots(shop.settings, lambda _: None) == UNCHANGED


def test_a_table_that_is_captured_later_is_read_then(shop: Shop) -> None:
    shop.set_up()
    complete_snapshots(shop.settings, lambda _: None)
    both = shop.capturing("sales.early,sales.Late")
    both.set_up()
    assert len(both.problems()) == 1
    [finding] = assess(scan_log(both.settings, Watched()), both.described(), ["early", "late"]).findings
    assert (finding.reason, commands(finding.remedy)) == (FindingReason.SNAPSHOT_MISSING, [["init"]])
    assert complete_snapshots(both.settings, lambda _: None) == "taken of sales.Late"
    assert both.problems() == []
    found = scan_log(both.settings, Watched())
    assert (found.never_read, assess(found, both.described(), ["early", "late"]).findings) == ((), ())
    # Connect still runs the snapshot: a request that was taken is not repeated after a restart.
    ConnectClient(shop.deployment.connect_url).restart(NAME)
    assert complete_snapshots(both.settings, lambda _: None) == UNCHANGED
