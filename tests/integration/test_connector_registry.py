"""Tests of the connector while the schema registry is down, on servers that the test may stop."""

from dataclasses import replace

from pipeline.postgres import database
from pipeline.postgres.watermark import Watermarks
from pipeline.setup.source import init_steps, run_steps
from stack.local import LocalStack
from tests.integration.isolated_source import own_deployment, own_tables, teardown_steps

NAME = "registry_test"
TIMEOUT_S = 60.0


def test_a_registry_that_is_down_stops_no_change_of_a_known_schema(local_stack: LocalStack) -> None:
    endpoints = local_stack.up()
    with own_tables(endpoints, NAME) as source, database.connect(source.url) as connection:
        made = own_deployment(endpoints, NAME, source)
        # Every record now queries the registry; by default, the connector queries it again after 30 s.
        always_ask = {"value.converter.apicurio.registry.check-period-ms": "1"}
        deployment = replace(made, connector=made.connector.with_settings(always_ask))
        watermarks = Watermarks(deployment.kafka, deployment.connector, deployment.connect_url)
        run_steps(init_steps(deployment), lambda *_: None)
        try:
            connection.execute("INSERT INTO orders (customer_id) VALUES (1)")
            before = watermarks.wait_for(watermarks.set(connection), TIMEOUT_S)
            local_stack.stop("registry")
            connection.execute("INSERT INTO orders (customer_id) VALUES (2)")
            after = watermarks.wait_for(watermarks.set(connection), TIMEOUT_S)
            assert sum(after.end_offsets.values()) > sum(before.end_offsets.values())
        finally:
            local_stack.start("registry")
            run_steps(teardown_steps(deployment), lambda *_: None)
