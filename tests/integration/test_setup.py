"""Tests of set-up and teardown on real servers: repeatable, complete, and with clear errors."""

import re
from collections.abc import Iterator
from dataclasses import replace
from importlib.resources import files

import pytest
import urllib3
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from connectors import topics
from connectors.debezium import SHIPPED, default_configuration
from connectors.kafka import KafkaSettings, KafkaUnavailable
from connectors.kafka_connect import ConfigRejected, ConnectClient, ConnectUnavailable
from connectors.topics import CleanupPolicy, TopicContractBroken, TopicSettings
from pipeline.demo.tables import create_tables
from pipeline.postgres import database, replication
from pipeline.postgres.preconditions import SourceNotReady
from pipeline.service_addresses import SourceSettings
from pipeline.setup.source import UNCHANGED, Deployment, SetupStep, init_steps, run_steps
from pipeline.teardown.source import find_tables
from stack.endpoints import Endpoints
from tests.integration.isolated_source import own_deployment, own_tables, teardown_steps
from tests.remedies.commands import commands


def outcomes(steps: list[SetupStep]) -> dict[str, str]:
    told: dict[str, str] = {}
    run_steps(steps, told.__setitem__)
    return told


@pytest.fixture(scope="module")
def deployment(endpoints: Endpoints) -> Iterator[Deployment]:
    with own_tables(endpoints, "setup_test") as source:
        made = own_deployment(endpoints, "setup_test", source)
        yield made
        outcomes(teardown_steps(made))


@pytest.fixture
def ready(deployment: Deployment) -> Deployment:
    outcomes(init_steps(deployment))
    return deployment


def test_a_second_init_changes_nothing(ready: Deployment) -> None:
    before = topics.describe(ready.kafka.admin(), ready.connector.table_topics)
    assert outcomes(init_steps(ready)) == {
        "source": UNCHANGED,
        "preconditions": "all hold",
        "topics": UNCHANGED,
        "connector": "unchanged, running",
    }
    assert topics.describe(ready.kafka.admin(), ready.connector.table_topics) == before


def test_init_leaves_rows_that_were_there(ready: Deployment) -> None:
    with database.connect(ready.source.url) as connection:
        connection.execute("INSERT INTO orders (customer_id, note) VALUES (1, 'kept')")
        outcomes(init_steps(ready))
        assert connection.execute("SELECT count(*) FROM orders WHERE note = 'kept'").fetchone() == (1,)


def test_teardown_leaves_nothing_but_the_orders_and_init_works_again(ready: Deployment) -> None:
    admin = ready.kafka.admin()
    names = [topic.name for topic in topics.topic_specs(ready.connector, ready.topics)]
    ids = {topic.topic_id for topic in topics.describe(admin, names).values()}

    outcomes(teardown_steps(ready))

    assert ready.connector.name not in ConnectClient(ready.connect_url).names()
    assert topics.describe(admin, names) == {}
    with database.connect(ready.source.url) as connection:
        assert connection.execute("SELECT FROM pg_publication").fetchall() == []
        identities = "SELECT relname, relreplident FROM pg_class WHERE relname IN ('orders', 'order_items') ORDER BY 1"
        assert connection.execute(identities).fetchall() == [("order_items", "d"), ("orders", "d")]
        assert connection.execute("SELECT to_regnamespace('readmodels')").fetchone() == (None,)
        assert connection.execute("SELECT to_regclass('public.orders') IS NOT NULL").fetchone() == (True,)
        assert replication.read_slot(connection, ready.connector.slot) is None
        role = connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [ready.source.replication_role])
        assert role.fetchone() is None
    assert set(outcomes(teardown_steps(ready)).values()) == {UNCHANGED}

    outcomes(init_steps(ready))
    assert ids.isdisjoint(topic.topic_id for topic in topics.describe(admin, names).values())
    assert ConnectClient(ready.connect_url).status(ready.connector.name).is_running


def test_the_orders_are_dropped_only_by_their_own_step(endpoints: Endpoints) -> None:
    with own_tables(endpoints, "drop_test") as source, database.connect(source.url) as connection:
        outcomes([SetupStep("tables", find_tables(source).carry_out)])
        assert connection.execute("SELECT to_regclass('public.orders')").fetchone() == (None,)


def test_a_changed_setting_reaches_the_running_connector(ready: Deployment) -> None:
    slower = replace(ready, connector=ready.connector.with_settings({"poll.interval.ms": "40"}))
    assert outcomes(init_steps(slower))["connector"] == "settings changed, running"
    client = ConnectClient(ready.connect_url)
    assert client.config(ready.connector.name)["poll.interval.ms"] == "40"
    assert outcomes(init_steps(ready))["connector"] == "settings changed, running"


def test_a_topic_that_differs_is_reported_and_never_altered(ready: Deployment) -> None:
    other = replace(ready, topics=TopicSettings(peak_consumers=5, cleanup_policy=CleanupPolicy.COMPACT))
    before = topics.describe(ready.kafka.admin(), ready.connector.table_topics)
    with pytest.raises(TopicContractBroken) as broken:
        outcomes(init_steps(other))
    assert "setup_test.public.orders has 6 partitions, not 10" in str(broken.value)
    assert "setup_test.public.order_items has cleanup.policy=delete, not compact" in str(broken.value)
    assert topics.describe(ready.kafka.admin(), ready.connector.table_topics) == before


@pytest.mark.parametrize("way", ["topic", "settings", "anew"])
def test_a_topic_that_differs_is_accepted_once_it_or_the_settings_are_altered_or_it_is_recreated(
    way: str, ready: Deployment
) -> None:
    other = replace(ready, topics=TopicSettings(retention_bytes=2**30))
    with pytest.raises(TopicContractBroken) as broken:
        outcomes(init_steps(other))
    if way == "settings":
        assert "section [topics] of readmodels.toml" in broken.value.remedy
        other = ready
    elif way == "topic":
        for name, setting, value in re.findall(r"(\S+) has (\S+)=-1, not (\d+)", str(broken.value)):
            alter(ready.kafka, name, setting, value)
    else:
        assert commands(broken.value.remedy) == [["teardown", "--execute"], ["init"]]
        outcomes(teardown_steps(ready))
    assert "running" in outcomes(init_steps(other))["connector"]
    outcomes(teardown_steps(ready))


def alter(kafka: KafkaSettings, topic: str, setting: str, value: str) -> None:
    """Set a topic's configuration, as kafka-configs does."""
    entry = ConfigEntry(setting, value, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    admin = kafka.admin()
    admin.incremental_alter_configs([resource])[resource].result()


def test_init_refuses_a_source_that_is_not_ready(ready: Deployment) -> None:
    with database.connect(ready.source.url) as connection:
        connection.execute("ALTER TABLE order_items ADD doubled int GENERATED ALWAYS AS (quantity * 2) VIRTUAL")
        try:
            with pytest.raises(SourceNotReady) as refused:
                outcomes(init_steps(ready))
        finally:
            connection.execute("ALTER TABLE order_items DROP COLUMN doubled")
    [dropped, _] = refused.value.remedy.split("; add them again as ")
    assert dropped == 'ALTER TABLE public.order_items DROP COLUMN "doubled"'


def test_a_connector_that_cannot_log_in_is_rejected_with_the_reason(ready: Deployment) -> None:
    locked_out = ready.connector.with_settings({"database.password": "canary"})
    with pytest.raises(ConfigRejected, match="password authentication failed") as rejected:
        outcomes(init_steps(replace(ready, connector=locked_out)))
    assert "canary" not in str(rejected.value)
    assert commands(rejected.value.remedy) == [["init"]]
    assert "running" in outcomes(init_steps(ready))["connector"]


def test_the_shipped_file_runs_as_it_is_and_its_password_is_never_shown(endpoints: Endpoints) -> None:
    password = endpoints.replication_password
    shipped = Deployment(
        source=SourceSettings(
            url=endpoints.postgres, admin_url=endpoints.postgres_admin, replication_password=password
        ),
        kafka=KafkaSettings(bootstrap_servers=endpoints.kafka),
        topics=TopicSettings(),
        connect_url=endpoints.connect,
        connector=default_configuration(),
    )
    with database.connect(endpoints.postgres) as connection:
        create_tables(connection)
    outcomes(init_steps(shipped))
    connectors = f"{endpoints.connect}/connectors"
    urllib3.request("DELETE", f"{connectors}/{shipped.connector.name}")
    file = files("connectors").joinpath(SHIPPED).read_bytes()
    posted = urllib3.request("POST", connectors, body=file, headers={"Content-Type": "application/json"})
    assert posted.status == 201, posted.data
    ConnectClient(endpoints.connect).wait_until_running(shipped.connector.name, timeout_s=60)

    for path in ("config", "status", "tasks", "offsets"):
        answer = urllib3.request("GET", f"{connectors}/{shipped.connector.name}/{path}")
        assert answer.status == 200
        assert password.encode() not in answer.data


def test_a_server_that_is_not_there_is_named(ready: Deployment) -> None:
    nowhere = "127.0.0.1:1"
    with pytest.raises(ConnectUnavailable, match=nowhere):
        outcomes(init_steps(replace(ready, connect_url=f"http://{nowhere}")))
    silent = KafkaSettings(bootstrap_servers=nowhere, client={"socket.timeout.ms": "1000"})
    with pytest.raises(KafkaUnavailable):
        outcomes(init_steps(replace(ready, kafka=silent)))
