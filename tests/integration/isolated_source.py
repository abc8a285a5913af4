"""A separate database, role and connector for one test."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from connectors.debezium import ConnectorConfiguration, default_configuration
from connectors.kafka import KafkaSettings
from connectors.topics import TopicSettings, TopicSpec
from pipeline.demo.tables import create_tables
from pipeline.postgres.capture import Capture
from pipeline.postgres.database import connect
from pipeline.service_addresses import SourceSettings
from pipeline.setup.source import Deployment, SetupStep
from pipeline.setup.source_plan import carry_out, plan_source
from pipeline.teardown.connectors import find_connectors
from pipeline.teardown.log import find_log
from pipeline.teardown.teardown import deployment_areas
from pipeline.teardown.traces import Traces
from stack.endpoints import Endpoints


@contextmanager
def own_database(endpoints: Endpoints, name: str, encoding: str = "UTF8") -> Iterator[SourceSettings]:
    """Create an empty database `name` with the owner that the endpoints name, and drop it at the end."""
    owner = str(conninfo_to_dict(endpoints.postgres)["user"])
    create = sql.SQL("CREATE DATABASE {} OWNER {} ENCODING {} LOCALE 'C' TEMPLATE template0").format(
        sql.Identifier(name), sql.Identifier(owner), sql.Literal(encoding)
    )
    with connect(endpoints.postgres_admin) as admin:
        admin.execute(create)
        try:
            yield SourceSettings(
                url=make_conninfo(endpoints.postgres, dbname=name),
                admin_url=make_conninfo(endpoints.postgres_admin, dbname=name),
                replication_password=secrets.token_urlsafe(),
                replication_role=f"{name}_replication",
            )
        finally:
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
            admin.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(f"{name}_replication")))


@contextmanager
def own_tables(endpoints: Endpoints, name: str) -> Iterator[SourceSettings]:
    """Create a database with the example's tables and nothing else, and drop it at the end."""
    with own_database(endpoints, name) as source:
        with connect(source.url) as connection:
            create_tables(connection)
        yield source


@contextmanager
def own_shop(endpoints: Endpoints, name: str) -> Iterator[SourceSettings]:
    """Create a database with the orders, the connector's role and the publication, and drop it at the end."""
    with own_tables(endpoints, name) as source:
        set_up_source(source)
        yield source


def set_up_source(source: SourceSettings) -> None:
    """Run every statement that `init` plans for the example's tables."""
    carry_out(source, plan_source(source, Capture(default_configuration(), source.replication_role)).statements)


def own_connector(name: str, source: SourceSettings) -> ConnectorConfiguration:
    """Return the shipped connector's configuration, for another database and with separate names."""
    shipped = default_configuration()
    settings = {
        **shipped.settings,
        "database.dbname": str(conninfo_to_dict(source.url)["dbname"]),
        "database.user": source.replication_role,
        "database.password": source.replication_password,
        "topic.prefix": name,
        "slot.name": name,
        "notification.sink.topic.name": f"{name}.notification",
    }
    return ConnectorConfiguration(name, settings)


def own_deployment(
    endpoints: Endpoints, name: str, source: SourceSettings, worker_topics: tuple[TopicSpec, ...] = ()
) -> Deployment:
    """Return a deployment from that database to separate topics."""
    return Deployment(
        source=source,
        kafka=KafkaSettings(bootstrap_servers=endpoints.kafka),
        topics=TopicSettings(),
        connect_url=endpoints.connect,
        connector=own_connector(name, source),
        worker_topics=worker_topics,
    )


def teardown_steps(deployment: Deployment) -> list[SetupStep]:
    """Find what exists between source and log, and return the steps that remove it; there are no read models."""
    described = Traces(prefixes=frozenset({deployment.connector.prefix}))
    connectors = find_connectors(deployment, described, Traces())
    traces = described | connectors.traces
    topics, _ = find_log(deployment, traces, connectors)
    return [SetupStep(area.name, area.carry_out) for area in deployment_areas(deployment, traces, connectors, topics)]
