"""Tests of the parts of a deployment on real servers: its own are found in any configuration, others are left alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from confluent_kafka import Producer
from psycopg import sql

from connectors import topics
from connectors.topics import TopicSpec
from pipeline.postgres import replication
from pipeline.postgres.database import connect
from pipeline.setup.source import Deployment, init_steps, run_steps
from pipeline.teardown.connectors import Connectors, find_connectors
from pipeline.teardown.found import Area
from pipeline.teardown.log import find_log
from pipeline.teardown.source import find_role, find_setup, find_slots
from pipeline.teardown.traces import Traces
from stack.endpoints import Endpoints
from tests.integration.isolated_source import (
    own_connector,
    own_deployment,
    own_shop,
    own_tables,
    set_up_source,
    teardown_steps,
)
from tests.remedies.commands import commands, statements

NAME = "teardown_test"
PREPARED = "prepared_test"
NOBODY = Connectors(Area("connector"))


@pytest.fixture(scope="module")
def deployed(endpoints: Endpoints) -> Iterator[Deployment]:
    """Yield a deployment without read models; tests only read it."""
    with own_tables(endpoints, NAME) as source:
        made = own_deployment(endpoints, NAME, source)
        run_steps(init_steps(made), lambda *_: None)
        yield made
        run_steps(teardown_steps(made), lambda *_: None)


def described_otherwise(deployment: Deployment) -> Deployment:
    """Return the deployment with definitions that were changed after the set-up."""
    other = f"{NAME}_other"
    changed = {"name": other, "topic.prefix": other, "slot.name": other, "publication.name": other}
    return replace(deployment, connector=deployment.connector.with_settings(changed))


def names(area: Area) -> list[str]:
    assert not area.unseen
    return [found.name for found in area.found]


def test_a_connector_is_found_by_its_topics_and_its_settings_name_the_rest(deployed: Deployment) -> None:
    fed = Traces(topics=frozenset(deployed.connector.table_topics))
    changed = described_otherwise(deployed)
    connectors = find_connectors(changed, fed, fed)
    assert names(connectors.area) == [f"connector {NAME}"]
    assert names(find_slots(changed, connectors.traces, connectors)) == [f"slot {NAME}"]
    area, found = find_log(changed, fed | connectors.traces, connectors)
    assert f"topic {NAME}.notification" in names(area)
    assert {one.partition(" ")[0] for one in found.topic_ids} >= {*deployed.connector.table_topics}


def test_a_connector_of_other_topics_and_what_it_needs_are_left_alone(deployed: Deployment) -> None:
    fed = Traces(topics=frozenset({"somewhere.public.else"}))
    connectors = find_connectors(deployed, fed, fed)
    assert names(connectors.area) == []
    assert [left.problem.partition(":")[0] for left in connectors.area.left] == [f"connector {NAME} stays"]
    assert names(find_slots(deployed, connectors.traces, connectors)) == []
    assert names(find_setup(deployed, fed, connectors)) == []
    assert names(find_role(deployed, fed, connectors)) == []
    area, _ = find_log(deployed, fed, connectors)
    assert not any(name.startswith("topic") for name in names(area))


def test_a_topic_that_only_the_definitions_name_is_kept_once_it_holds_a_record(deployed: Deployment) -> None:
    fed = Traces(topics=frozenset(deployed.connector.table_topics))
    changed = described_otherwise(deployed)
    admin = deployed.kafka.admin()
    table, empty = changed.connector.table_topics
    topics.create_missing(admin, [TopicSpec(name, 1, None, {}) for name in (table, empty)])
    try:
        producer = Producer(deployed.kafka.with_client(acks="all"))
        producer.produce(table, b"of somebody else")
        assert producer.flush(20) == 0
        area, _ = find_log(changed, fed, NOBODY)
        assert f"topic {empty}" in names(area)
        assert f"topic {table}" not in names(area)
        assert f"topic {table}" in [left.problem.partition(" stays")[0] for left in area.left]
    finally:
        topics.delete(admin, [table, empty])


def test_a_slot_that_nothing_reads_is_named_and_its_remedy_drops_it(deployed: Deployment) -> None:
    with connect(deployed.source.admin_url) as admin:
        admin.execute("SELECT pg_create_logical_replication_slot('forgotten', 'pgoutput')")
        [left] = find_slots(deployed, Traces(slots=frozenset({NAME})), NOBODY).left
        assert left.problem.startswith("slot forgotten stays")
        admin.execute(left.remedy.partition(": ")[2].encode())
        assert replication.read_slot(admin, "forgotten") is None


@pytest.fixture
def prepared(endpoints: Endpoints) -> Iterator[Deployment]:
    """Yield a deployment of which only the source is prepared."""
    with own_shop(endpoints, PREPARED) as source:
        yield own_deployment(endpoints, PREPARED, source)


def execute_remedy(url: str, remedy: str) -> None:
    """Execute the statements of a remedy."""
    with connect(url) as connection:
        for one in statements(remedy):
            connection.execute(one.encode())


def test_a_schema_with_a_table_of_another_application_stays_until_the_table_is_dropped(prepared: Deployment) -> None:
    with connect(prepared.source.url) as owner:
        owner.execute("CREATE TABLE readmodels.mine (id bigint)")
        area = find_setup(prepared, Traces(), NOBODY)
        assert names(area) == [
            "replica identity FULL of public.order_items",
            "replica identity FULL of public.orders",
            "publication readmodels",
            "table readmodels.earlier_replica_identity",
            "table readmodels.heartbeat",
            "table readmodels.signal",
        ]
        [left] = area.left
        assert left.problem == "schema readmodels stays: it holds mine, which `init` did not create"
        assert left.remedy.startswith("Move them to another schema, or drop them; then ")
        area.carry_out()
        owner.execute("DROP TABLE readmodels.mine")
    execute_remedy(prepared.source.url, left.remedy)
    area = find_setup(prepared, Traces(), NOBODY)
    assert (area.found, area.left) == ([], [])


def test_a_publication_that_init_did_not_create_stays_until_it_is_dropped(prepared: Deployment) -> None:
    with connect(prepared.source.url) as owner:
        owner.execute('CREATE PUBLICATION "Shop" FOR TABLE orders')
    traces = Traces(publications=frozenset({"Shop"}))
    [left] = find_setup(prepared, traces, NOBODY).left
    execute_remedy(prepared.source.url, left.remedy)
    assert find_setup(prepared, traces, NOBODY).left == []


def test_objects_that_two_deployments_share_are_removed_with_the_last_one(prepared: Deployment) -> None:
    other = own_connector("other", prepared.source)
    shared = find_setup(prepared, Traces(), replace(NOBODY, others=[other]))
    [left] = shared.left
    assert shared.found == []
    assert left.remedy.startswith("Tear down the other deployment, then run")
    assert commands(left.remedy) == [["teardown", "--execute"]]
    find_setup(prepared, Traces(), NOBODY).carry_out()
    area = find_setup(prepared, Traces(), NOBODY)
    assert (area.found, area.left) == ([], [])


def test_a_role_goes_with_the_deployment_of_the_last_database_in_which_it_has_rights(
    prepared: Deployment, endpoints: Endpoints
) -> None:
    with own_tables(endpoints, f"{PREPARED}_too") as second:
        role, password = prepared.source.replication_role, prepared.source.replication_password
        shared = replace(second, replication_role=role, replication_password=password)
        set_up_source(shared)
        [left] = find_role(prepared, Traces(), NOBODY).left
        assert left.problem.endswith(f"it has rights in {PREPARED}_too")
        assert left.remedy.endswith("for the deployment of that database, then again for this one.")
        traces = Traces(tables=frozenset(prepared.connector.tables))
        find_role(replace(prepared, source=shared), traces, NOBODY).carry_out()
        area = find_role(prepared, Traces(), NOBODY)
        assert (names(area), area.left) == ([f"role {shared.replication_role}"], [])
        area.carry_out()
        assert find_role(prepared, Traces(), NOBODY).found == []


def test_a_role_that_init_did_not_create_loses_what_init_granted_and_stays_until_it_is_dropped(
    endpoints: Endpoints,
) -> None:
    with own_tables(endpoints, "role_test") as source, connect(source.admin_url) as admin:
        role = source.replication_role
        login = sql.SQL("CREATE ROLE {} LOGIN REPLICATION PASSWORD {}")
        admin.execute(login.format(sql.Identifier(role), sql.Literal(source.replication_password)))
        deployment = own_deployment(endpoints, "role_test", source)
        set_up_source(source)
        with connect(source.url) as owner:
            owner.execute("CREATE TABLE mine (id bigint)")
            owner.execute(f'GRANT SELECT ON mine TO "{role}"'.encode())
        area = find_role(deployment, Traces(tables=frozenset(deployment.connector.tables)), NOBODY)
        [left] = area.left
        assert left.problem == f"role {role} stays: `init` did not create it"
        assert area.carry_out().startswith(f"removed rights of role {role} on readmodels, public.order_items")
        right = "SELECT has_table_privilege(%s, 'orders', 'SELECT'), has_table_privilege(%s, 'mine', 'SELECT')"
        assert admin.execute(right, [role, role]).fetchone() == (False, True)
        execute_remedy(source.admin_url, left.remedy)
        assert find_role(deployment, Traces(), NOBODY).left == []
