"""Teardown of a deployment, in areas that are removed one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import psycopg

from pipeline.config import Settings
from pipeline.ingest.store_directories import recorded_directories
from pipeline.postgres.database import SourceUnavailable, connect
from pipeline.postgres.server_state import read_server_state
from pipeline.setup.source import Deployment, Report, bare_deployment_of
from pipeline.teardown.connectors import Connectors, find_connectors
from pipeline.teardown.found import Area, NotRemoved, outcome, problems, told
from pipeline.teardown.log import find_log
from pipeline.teardown.models import (
    add_noted_directories,
    find_copies,
    find_duckdb,
    find_elasticsearch,
    find_others,
    find_redis,
)
from pipeline.teardown.source import find_role, find_setup, find_slots, find_tables
from pipeline.teardown.traces import Traces, forget_traces, read_traces, write_traces


@dataclass(frozen=True)
class Teardown:
    """Parts of a deployment that were found.

    Args:
        areas: in the order of their removal.
        traces: names and ids by which the parts were recognized.
    """

    settings: Settings
    areas: Sequence[Area]
    traces: Traces = field(repr=False)

    @property
    def unseen(self) -> list[NotRemoved]:
        """Reasons why parts could not be read."""
        return problems(self.areas)

    def carry_out(self, report: Report) -> list[NotRemoved]:
        """Remove all parts that were found, and report each area by its name and outcome.

        Returns: reasons why other parts were not read or not removed; empty if all parts are removed.
        """
        failed = self.unseen
        directory = self.settings.duckdb.directory
        if failed or any(area.found for area in self.areas):
            try:
                # The parts removed first may be the only proof for parts that remain.
                write_traces(directory, self.traces)
            except OSError as error:
                return [*failed, told(error)]
        for area in self.areas:
            removed, of_area = area.remove()
            failed += of_area
            if removed or not (area.unseen or of_area):
                report(area.name, outcome(removed))
        if not failed:
            forget_traces(directory)
        return failed


def find_teardown(settings: Settings, *, with_tables: bool = False) -> Teardown:
    """Find everything that exists of a deployment, and remove nothing.

    Args:
        with_tables: whether the example's tables are removed too.
    """
    deployment = bare_deployment_of(settings)
    source = _system_identifier(deployment)
    kept = read_traces(settings.duckdb.directory)
    redis, fed = find_redis(settings)
    duckdb, of_duckdb = find_duckdb(settings, fed, source)
    fed |= of_duckdb
    described = Traces(prefixes=frozenset({settings.topic_prefix, deployment.connector.prefix}))
    connectors = find_connectors(deployment, kept | fed | described, fed)
    traces = kept | fed | described | connectors.traces
    topics, found = find_log(deployment, traces, connectors)
    traces |= found
    with topics.looking():
        others = [one for one in recorded_directories(settings.kafka) if one != settings.duckdb.directory.absolute()]
        traces |= add_noted_directories(duckdb, others, traces, source)
    elasticsearch = find_elasticsearch(settings, traces, source)
    # Remove the copies first: they may be in DuckDB's directory, which is removed once it is empty.
    models = [elasticsearch, redis, find_copies(settings, traces), duckdb, *find_others(settings, traces, source)]
    areas = [*models, *deployment_areas(deployment, traces, connectors, topics)]
    return Teardown(settings, [*areas, find_tables(deployment.source)] if with_tables else areas, traces)


def deployment_areas(deployment: Deployment, traces: Traces, connectors: Connectors, topics: Area) -> list[Area]:
    """Return the areas from source to log. The connector comes first because it would create its slot again."""
    return [
        connectors.area,
        find_slots(deployment, traces, connectors),
        find_setup(deployment, traces, connectors),
        find_role(deployment, traces, connectors),
        topics,
    ]


def _system_identifier(deployment: Deployment) -> str:
    """Return the source's system identifier; empty if PostgreSQL does not answer, which its own areas report."""
    with suppress(SourceUnavailable, psycopg.Error), connect(deployment.source.url) as connection:
        return read_server_state(connection, deployment.connector.slot).system_identifier
    return ""
