"""Tests of an interrupted first snapshot, on a real connector: its remains in the log, and their assessment."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

from connectors import topics
from connectors.kafka import end_offsets
from connectors.kafka_connect import ConnectClient
from connectors.notifications import SnapshotStatus
from connectors.schema_lookup import NegativeCache
from pipeline import read_models
from pipeline.cli.context import local_defaults
from pipeline.config import Settings, load
from pipeline.log_scan.assessment import Assessment, assess, scopes_of
from pipeline.log_scan.finding import FindingReason
from pipeline.log_scan.scan import LogScan, scan_log
from pipeline.log_scan.snapshot_status import read_snapshot_status
from pipeline.postgres import database
from pipeline.postgres.database import Connection
from pipeline.postgres.watermark import Watermarks
from pipeline.setup.snapshots import read_snapshots, snapshot_findings
from pipeline.setup.source import Deployment, init_steps, run_steps
from stack.endpoints import Endpoints
from tests.integration.isolated_source import own_deployment, own_tables, teardown_steps
from tests.integration.test_survey import Watched, rebuilt
from tests.remedies.commands import commands
from tests.support.checkout import CHECKOUT
from tests.support.waiting import wait_for

NAME = "survey_test"
TIMEOUT_S = 60.0
ORDERS, ITEMS, DELETED = 4000, 5, 1000
SLOWLY = {"max.batch.size": "20", "max.queue.size": "40", "snapshot.fetch.size": "50"}
"""Settings that make a snapshot of some thousand rows slow enough to be interrupted."""


class Stopped:
    """A connector stopped during its first snapshot; some orders were deleted since."""

    def __init__(self, deployment: Deployment, settings: Settings, connection: Connection) -> None:
        self._deployment = deployment
        self._connection = connection
        self._admin = deployment.kafka.admin()
        self.settings = settings

    def told(self) -> SnapshotStatus | None:
        """Return the connector's status of the snapshot."""
        return read_snapshot_status(self.settings, self._admin, NegativeCache(read_models.registry(self.settings)))

    def go_on(self) -> None:
        """Let the connector run until its snapshot has ended and a change was streamed."""
        with closing(ConnectClient(self._deployment.connect_url)) as client:
            client.resume(NAME)
            client.wait_until_running(NAME, TIMEOUT_S)
        wait_for(self._has_ended, TIMEOUT_S, lambda: f"{self.told()}")
        watermarks = Watermarks(self._deployment.kafka, self._deployment.connector, self._deployment.connect_url)
        self._connection.execute("INSERT INTO orders (customer_id) VALUES (1)")
        watermarks.wait_for(watermarks.set(self._connection), TIMEOUT_S)

    def survey(self) -> LogScan:
        """Return a scan of the log."""
        return scan_log(self.settings, Watched())

    def judge(self, surveyed: LogScan) -> Assessment:
        """Return the assessment of the scan."""
        definitions = self.settings.definitions
        return assess(surveyed, topics.describe(self._admin, definitions.topics), scopes_of(definitions.row_shapes()))

    def order_ids(self) -> set[object]:
        """Return the ids of the orders in PostgreSQL."""
        return {row[0] for row in self._connection.execute("SELECT id FROM orders")}

    def _has_ended(self) -> bool:
        told = self.told()
        return told is not None and told.has_ended


@contextmanager
def stopped(endpoints: Endpoints, folder: Path, *, deleted: str, is_json: bool) -> Iterator[Stopped]:
    described = (CHECKOUT / "readmodels.toml").read_text().replace('topic_prefix = "cdc"', f'topic_prefix = "{NAME}"')
    (folder / "readmodels.toml").write_text(described)
    with own_tables(endpoints, NAME) as source, database.connect(source.url) as connection:
        made = own_deployment(endpoints, NAME, source)
        written = made.connector.with_json_values() if is_json else made.connector
        deployment = replace(made, connector=written.with_settings(SLOWLY))
        envelopes = {"format": "json" if is_json else "avro", "connector": dict(deployment.connector.settings)}
        settings = load(folder / "readmodels.toml", local_defaults(endpoints, folder), {"envelopes": envelopes})
        *before, connector = init_steps(deployment)
        require_named_with_init(settings)
        try:
            run_steps(before, lambda *_: None)
            connection.execute("INSERT INTO orders (customer_id) SELECT generate_series(1, %s)", [ORDERS])
            connection.execute("INSERT INTO order_items (order_id, sku) SELECT generate_series(1, %s), 'a'", [ITEMS])
            run_steps([connector], lambda *_: None)
            admin, client = deployment.kafka.admin(), ConnectClient(deployment.connect_url)
            wait_for(
                lambda: sum(end_offsets(admin, settings.definitions.topics).values()) > 100,
                TIMEOUT_S,
                lambda: "no rows came",
            )
            client.stop(NAME)
            client.wait_until_stopped(NAME, TIMEOUT_S)
            client.close()
            connection.execute(f"DELETE FROM orders WHERE {deleted}")
            connection.execute("DELETE FROM order_items WHERE order_id NOT IN (SELECT id FROM orders)")
            yield Stopped(deployment, settings, connection)
        finally:
            run_steps(teardown_steps(deployment), lambda *_: None)


def require_named_with_init(settings: Settings) -> None:
    """Require that missing topics and an unknown snapshot are reported, with `init` as the remedy."""
    contract = settings.definitions
    admin = settings.kafka.admin()

    def found() -> dict[FindingReason, str]:
        described = topics.describe(admin, contract.topics)
        judgement = assess(scan_log(settings, Watched()), described, scopes_of(contract.row_shapes()))
        return {one.reason: one.remedy for one in judgement.findings}

    # Brokers may report topics of an earlier test for a while.
    wait_for(lambda: found().keys() == {FindingReason.TOPIC_MISSING}, TIMEOUT_S, lambda: f"{found()}")
    [untold] = snapshot_findings(read_snapshots(settings), settings)
    for remedy in (*found().values(), untold.remedy):
        assert commands(remedy)[0] == ["init"]


def test_rows_of_an_aborted_snapshot_are_swept_from_a_rebuild(endpoints: Endpoints, tmp_path: Path) -> None:
    with stopped(endpoints, tmp_path, deleted=f"id <= {DELETED}", is_json=False) as source:
        before = source.survey()
        assert before.told == SnapshotStatus()
        [unfinished] = source.judge(before).findings
        assert unfinished.reason is FindingReason.SNAPSHOT_UNFINISHED
        assert unfinished.remedy.startswith("Wait until the first snapshot has ended")
        [waits] = snapshot_findings(before.told, source.settings)
        assert waits.remedy.startswith("Wait for it.")
        source.go_on()
        found = source.survey()
        assert snapshot_findings(found.told, source.settings) == []
        aborted, last = found.snapshot_lsns
        assert before.snapshot_lsns == (aborted,)
        assert found.ended_snapshots == {last}
        assert found.told == SnapshotStatus(
            has_ended=True, rows={"public.orders": ORDERS - DELETED, "public.order_items": 0}, attempts=2
        )
        assessment = source.judge(found)
        assert not assessment.findings
        assert {range_tombstone.lsn for range_tombstone in assessment.range_tombstones} == {last}
        assert rebuilt(source.settings, assessment.range_tombstones) == source.order_ids()
        assert rebuilt(source.settings, ()) > source.order_ids()


def test_rows_of_which_a_restarted_snapshot_found_none_are_swept(endpoints: Endpoints, tmp_path: Path) -> None:
    with stopped(endpoints, tmp_path, deleted="true", is_json=True) as source:
        source.go_on()
        found = source.survey()
        (aborted,) = found.snapshot_lsns
        assert not found.ended_snapshots
        assert found.told == SnapshotStatus(
            has_ended=True, rows={"public.orders": 0, "public.order_items": 0}, attempts=2
        )
        assessment = source.judge(found)
        assert not assessment.findings
        assert {range_tombstone.lsn for range_tombstone in assessment.range_tombstones} == {aborted + 1}
        assert rebuilt(source.settings, assessment.range_tombstones) == source.order_ids()
