"""Connectors of a deployment, recognized by the settings that Kafka Connect stores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial

from connectors.debezium import REQUIRED_SETTINGS, ConnectorConfiguration
from connectors.kafka_connect import ConnectClient, ConnectorMissing
from pipeline.setup.source import Deployment, stop_connector
from pipeline.teardown.found import Area, LeftAlone, RemovablePart
from pipeline.teardown.traces import Traces, of_connector

_CLASS = "io.debezium.connector.postgresql.PostgresConnector"
_MARK = "readmodels.type"
"""Setting that exactly the connectors created by `init` have."""
_DATABASE = ("database.hostname", "database.port", "database.dbname")


@dataclass(frozen=True)
class Connectors:
    """Connectors in Kafka Connect.

    Args:
        area: parts to remove and to leave.
        own: connectors of the deployment, with their settings.
        traces: traces in their settings and topics.
        others: connectors of other deployments, with their settings.
    """

    area: Area
    own: Sequence[ConnectorConfiguration] = ()
    traces: Traces = field(default_factory=Traces)
    others: Sequence[ConnectorConfiguration] = ()

    def beside(self, deployment: Deployment) -> list[str]:
        """Return connectors of others that read the same database and therefore need its setup."""
        databases = {_database(one.settings) for one in [deployment.connector, *self.own]}
        return [one.name for one in self.others if _database(one.settings) in databases]

    def may_be_own(self, other: ConnectorConfiguration, deployment: Deployment) -> bool:
        """Return whether an operator has to decide if a connector belongs to the deployment."""
        return other.name == deployment.connector.name or other.name in self.beside(deployment)


def find_connectors(deployment: Deployment, traces: Traces, fed: Traces) -> Connectors:
    """Find the connectors of a deployment.

    A connector that `init` created belongs to the deployment if it writes to topics of the deployment. If no generation
    names those topics, the connector's name in `readmodels.toml` decides.

    Args:
        traces: all known traces of the deployment.
        fed: the traces that come from generations.
    """
    area = Area("connector")
    own: list[ConnectorConfiguration] = []
    others: list[ConnectorConfiguration] = []
    found = Traces()
    with area.looking(), closing(ConnectClient(deployment.connect_url)) as client:
        for name, settings in _made_by_init(client).items():
            connector = ConnectorConfiguration(name, settings)
            told = of_connector(connector, client.topics(name))
            is_named = name in traces.connectors or (
                name == deployment.connector.name and not fed and not traces.connectors
            )
            if is_named or told.prefixes & traces.prefixes or told.topics & fed.topics:
                own.append(connector)
                found |= told
                area.found.append(RemovablePart(f"connector {name}", partial(_remove, deployment.connect_url, name)))
            else:
                others.append(connector)
    made = Connectors(area, own, found, others)
    area.left += [_of_others(one) for one in others if made.may_be_own(one, deployment)]
    return made


def _made_by_init(client: ConnectClient) -> Mapping[str, Mapping[str, str]]:
    found = {}
    for name in client.names():
        try:
            settings = client.config(name)
        except ConnectorMissing:
            # The connector was deleted in the meantime.
            continue
        if settings.get("connector.class") == _CLASS and settings.get(_MARK) == REQUIRED_SETTINGS[_MARK][0]:
            found[name] = settings
    return found


def _of_others(connector: ConnectorConfiguration) -> LeftAlone:
    return LeftAlone(
        f"connector {connector.name} stays: no read model here is fed from its topics, which begin with "
        f"{connector.prefix!r}",
        f'If it is yours, set topic_prefix = "{connector.prefix}" in readmodels.toml, then repeat the command.',
    )


def _database(settings: Mapping[str, str]) -> tuple[str | None, ...]:
    return tuple(settings.get(name) for name in _DATABASE)


def _remove(connect_url: str, name: str) -> None:
    with closing(ConnectClient(connect_url)) as client:
        try:
            stop_connector(client, name)
            client.forget_offsets(name)
            client.delete(name)
        except ConnectorMissing:
            return
