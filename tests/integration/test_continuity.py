"""Tests of `init` with a connector that is stopped, has failed, or has lost a part of the log."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
import structlog
from psycopg.errors import CheckViolation

from connectors.debezium import ConfigurationRefused
from connectors.kafka_connect import ConnectClient, ConnectorFailed, ConnectorMissing, ConnectorNotReady
from pipeline.epochs.fingerprint import Fingerprint, of_source
from pipeline.epochs.source_monitor import SourceMonitor
from pipeline.ingest.log_mismatch import MismatchReason
from pipeline.postgres import database, replication
from pipeline.postgres.database import SourceUnavailable
from pipeline.postgres.slot_gap import SlotGap
from pipeline.postgres.watermark import Watermarks
from pipeline.setup.source import Deployment, init_steps, run_steps
from stack.endpoints import Endpoints
from stack.paths import LOOPBACK, free_ports
from tests.integration.isolated_source import own_deployment, own_tables, teardown_steps
from tests.remedies.commands import commands

NAME = "continuity_test"
TIMEOUT_S = 60.0


def init(deployment: Deployment) -> str:
    outcomes: dict[str, str] = {}
    run_steps(init_steps(deployment), outcomes.__setitem__)
    return outcomes["connector"]


def seen(deployment: Deployment, known: Fingerprint | None = None) -> list[MismatchReason]:
    """Return the mismatches that a newly started worker finds, given the known fingerprint."""
    return [one.reason for one in SourceMonitor(deployment, known or {}).check()]


def ask_for_ever(client: ConnectClient) -> None:
    while True:
        client.status(NAME)


def run_for_ever(client: ConnectClient) -> None:
    while True:
        client.wait_until_running(NAME, TIMEOUT_S)


@pytest.fixture
def stopped(endpoints: Endpoints) -> Iterator[Deployment]:
    """Yield a deployment whose connector has streamed a change, and was then stopped."""
    with own_tables(endpoints, NAME) as source:
        deployment = own_deployment(endpoints, NAME, source)
        init(deployment)
        watermarks = Watermarks(deployment.kafka, deployment.connector, deployment.connect_url)
        with database.connect(source.url) as connection:
            connection.execute("INSERT INTO orders (customer_id) VALUES (1)")
            watermarks.wait_for(watermarks.set(connection), TIMEOUT_S)
        client = ConnectClient(deployment.connect_url)
        client.stop(NAME)
        client.wait_until_stopped(NAME, TIMEOUT_S)
        yield deployment
        run_steps(teardown_steps(deployment), lambda *_: None)


def test_init_resumes_a_stopped_connector(stopped: Deployment) -> None:
    assert not seen(stopped)
    client = ConnectClient(stopped.connect_url)
    with pytest.raises(ConnectorNotReady, match="STOPPED") as resting:
        client.wait_until_running(NAME, timeout_s=0)
    assert commands(resting.value.remedy) == [["init"]]
    assert init(stopped) == "resumed, running"
    client.wait_until_running(NAME, timeout_s=0)
    assert not seen(stopped)


def test_init_creates_a_connector_that_is_missing(stopped: Deployment) -> None:
    client = ConnectClient(stopped.connect_url)
    client.delete(NAME)
    with pytest.raises(ConnectorMissing) as missing:
        ask_for_ever(client)
    assert commands(missing.value.remedy) == [["init"]]
    assert init(stopped) == "created, running"
    assert client.status(NAME).is_running


def test_workers_log_that_replication_stalled_and_that_it_resumed(stopped: Deployment) -> None:
    watch = SourceMonitor(stopped, {})
    with structlog.testing.capture_logs() as lines:
        assert not watch.check()
        assert not lines, "a connector that is started again is not missed"
        assert not watch.check() + watch.check()
        init(stopped)
        assert not watch.check() + watch.check()
    assert [(line["log_level"], line["event"]) for line in lines] == [
        ("warning", "replication stalled"),
        ("info", "replication resumed"),
    ]
    assert lines[0]["reason"] == f"no connector reads slot {stopped.connector.slot}"
    assert "readmodels init" in lines[0]["remedy"]


def test_workers_log_that_the_source_does_not_answer(stopped: Deployment) -> None:
    elsewhere = f"postgresql://nobody@{LOOPBACK}:{free_ports(1)[0]}/nothing"
    watch = SourceMonitor(replace(stopped, source=replace(stopped.source, url=elsewhere)), {})
    with structlog.testing.capture_logs() as lines:
        assert not watch.check() + watch.check()
    (told,) = lines
    assert (told["event"], told["remedy"]) == ("replication stalled", SourceUnavailable.remedy)


def test_workers_see_that_another_system_writes_the_log(stopped: Deployment) -> None:
    assert seen(stopped, of_source("1")) == [MismatchReason.OTHER_SOURCE]
    with database.connect(stopped.source.url) as connection:
        [(system,)] = connection.execute("SELECT system_identifier::text FROM pg_control_system()").fetchall()
    assert not seen(stopped, of_source(str(system)))


def test_workers_see_that_the_connector_may_snapshot_by_itself(stopped: Deployment) -> None:
    name, settings = stopped.connector.name, stopped.connector.settings
    ConnectClient(stopped.connect_url).put_config(name, {**settings, "snapshot.mode": "when_needed"})
    with pytest.raises(ConfigurationRefused, match=r"snapshot\.mode must be 'initial', not 'when_needed'") as refused:
        seen(stopped)
    assert commands(refused.value.remedy) == [["init"]]
    init(stopped)
    assert not seen(stopped)


def test_the_signal_table_takes_no_signal_for_a_blocking_snapshot(stopped: Deployment) -> None:
    with database.connect(stopped.source.url) as connection:
        table = stopped.connector.signal_table
        with pytest.raises(CheckViolation, match="no_blocking_snapshot"):
            replication.send_signal(connection, table, "1", "execute-snapshot", '{"type": "BLOCKING"}')
        replication.send_signal(connection, table, "1", "execute-snapshot", '{"data-collections": []}')


def test_a_slot_that_was_advanced_past_unread_changes_is_refused(stopped: Deployment) -> None:
    with database.connect(stopped.source.admin_url) as admin:
        admin.execute("INSERT INTO orders (customer_id) VALUES (2)")
        admin.execute("SELECT pg_replication_slot_advance(%s, pg_current_wal_lsn())", [NAME])
    assert seen(stopped) == [MismatchReason.SLOT_AHEAD]
    with pytest.raises(SlotGap, match=f"slot {NAME} begins at LSN"):
        init(stopped)


def test_a_slot_that_is_gone_is_refused_and_teardown_makes_a_new_beginning(stopped: Deployment) -> None:
    with database.connect(stopped.source.admin_url) as admin:
        assert replication.drop_slot(admin, NAME, TIMEOUT_S)
    assert seen(stopped) == [MismatchReason.SLOT_GONE]
    with pytest.raises(SlotGap, match=f"slot {NAME} is gone") as broken:
        init(stopped)
    assert commands(broken.value.remedy)[1:] == [["teardown", "--execute"], ["init"]]
    run_steps(teardown_steps(stopped), lambda *_: None)
    assert init(stopped) == "created, running"


def test_a_connector_that_was_deleted_and_comes_back_to_another_slot_is_refused(stopped: Deployment) -> None:
    ConnectClient(stopped.connect_url).delete(NAME)
    with database.connect(stopped.source.admin_url) as admin:
        assert replication.drop_slot(admin, NAME, TIMEOUT_S)
        admin.execute("INSERT INTO orders (customer_id) VALUES (2)")
        admin.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", [NAME])
    with pytest.raises(SlotGap, match=f"slot {NAME} begins at LSN"):
        init(stopped)
    run_steps(teardown_steps(stopped), lambda *_: None)
    assert init(stopped) == "created, running"


def test_a_failed_connector_reports_the_reason_and_init_restarts_it(stopped: Deployment) -> None:
    client = ConnectClient(stopped.connect_url)
    role = stopped.source.replication_role
    # By default, Debezium retries for ever and reports that it runs.
    impatient = replace(stopped, connector=stopped.connector.with_settings({"errors.max.retries": "0"}))
    init(impatient)
    with database.connect(stopped.source.admin_url) as admin:
        admin.execute(f"ALTER ROLE {role} NOREPLICATION")
        client.restart(NAME)
        with pytest.raises(ConnectorFailed, match="permission denied to start WAL sender"):
            run_for_ever(client)
    assert init(impatient) == "restarted, running"
