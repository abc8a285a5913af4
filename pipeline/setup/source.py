"""Set-up of everything between the source tables and the log, in repeatable steps."""

from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace

from connectors import topics
from connectors.debezium import ConnectorConfiguration
from connectors.kafka import KafkaSettings, end_offsets
from connectors.kafka_connect import ConnectClient
from connectors.topics import TopicSettings, TopicSpec
from pipeline.config import DecimalMode, Settings
from pipeline.definitions import ModelDefinitions
from pipeline.ingest import control_topic
from pipeline.ingest.log_mismatch import EpochMismatch
from pipeline.postgres import database, replication
from pipeline.postgres.capture import Capture
from pipeline.postgres.slot_gap import require_no_gap
from pipeline.postgres.source_check import as_seen, check_source, remembered, require_whole
from pipeline.postgres.source_history import SourceHistory
from pipeline.postgres.source_identity import is_known
from pipeline.postgres.unsendable import require_sendable
from pipeline.service_addresses import SourceSettings
from pipeline.setup.source_plan import SourcePlan, carry_out, plan_source

UNCHANGED = "unchanged"
CONNECTOR_START_TIMEOUT_S = 120.0
CONNECTOR_STOP_TIMEOUT_S = 60.0
SLOT_RELEASE_TIMEOUT_S = 60.0

Report = Callable[[str, str], None]


@dataclass(frozen=True)
class SetupStep:
    """Repeatable step. It returns what it changed, or `UNCHANGED`."""

    name: str
    carry_out: Callable[[], str]


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """Deployment: everything that set-up and teardown change.

    Args:
        is_double_accepted: whether decimals may be sent as binary doubles, which lose cents.
        columns: by table, the columns that the models use.
        definitions: definitions of the models; None if `readmodels.toml` contradicts itself.
        worker_topics: topics that the workers need besides the connector's.
    """

    source: SourceSettings
    kafka: KafkaSettings
    topics: TopicSettings
    connect_url: str
    connector: ConnectorConfiguration
    is_double_accepted: bool = False
    columns: Mapping[str, Collection[str]] = field(default_factory=dict)
    definitions: ModelDefinitions | None = None
    worker_topics: tuple[TopicSpec, ...] = (control_topic.wanted_topic(replication_factor=None),)

    @property
    def capture(self) -> Capture:
        """Captured tables, and the role that captures them."""
        return Capture(self.connector, self.source.replication_role, self.columns, self.definitions)


def deployment_of(settings: Settings) -> Deployment:
    """Return the deployment of these settings."""
    return replace(bare_deployment_of(settings), definitions=settings.definitions)


def bare_deployment_of(settings: Settings) -> Deployment:
    """Return the deployment without the definitions, which may contradict themselves in `readmodels.toml`."""
    return Deployment(
        source=settings.source,
        kafka=settings.kafka,
        topics=settings.topics,
        connect_url=settings.connect.url,
        connector=settings.connector,
        is_double_accepted=settings.envelopes.decimals is DecimalMode.DOUBLE,
        columns={table.source: frozenset(table.columns) for table in settings.tables.values()},
    )


def run_steps(steps: Iterable[SetupStep], report: Report) -> None:
    """Run the steps in order, and report each by its name and outcome. Stop at the first that fails."""
    for step in steps:
        report(step.name, step.carry_out())


def init_steps(deployment: Deployment, plan: SourcePlan | None = None) -> list[SetupStep]:
    """Return the steps that set up the source, the topics and the connector. Topics precede the connector, which writes
    to them.

    Args:
        plan: the plan of the source that was shown; None to make one when its step runs.
    """
    return [
        SetupStep("source", lambda: _source(deployment, plan)),
        SetupStep("preconditions", lambda: _preconditions(deployment)),
        SetupStep("topics", lambda: _topics(deployment)),
        connector_step(deployment),
    ]


def connector_step(deployment: Deployment) -> SetupStep:
    """Return the step that creates or resumes the connector."""
    return SetupStep("connector", lambda: _connector(deployment))


def missing_topics_step(deployment: Deployment) -> SetupStep:
    """Return the step that creates missing topics, and leaves the others unchanged."""
    return SetupStep("missing topics", lambda: _missing_topics(deployment))


def _source(deployment: Deployment, plan: SourcePlan | None) -> str:
    plan = plan or plan_source(deployment.source, deployment.capture)
    plan.require_possible()
    if not plan.statements:
        return UNCHANGED
    _require_no_gap_of_known(deployment)
    carry_out(deployment.source, plan.statements)
    return f"ran {len(plan.statements)} statements"


def _require_no_gap_of_known(deployment: Deployment) -> None:
    """Refuse to mend a gap of a table that the log contains: the changes that are missing stay missing.

    A table that is new to the log has no gap. A publication that is missing is created: its new oid shows the gap.
    """
    history = SourceHistory(deployment.kafka, deployment.connector.name)
    known = history.read()
    with database.connect(deployment.source.url) as connection:
        look = check_source(connection, deployment.capture)
    tables = [table for table in look.source.tables if is_known(table.table_name, known.identity or {})]
    look = replace(look, source=replace(look.source, tables=tables))
    if look.source.database.is_published and (found := remembered(look, known, deployment.capture, history)):
        raise EpochMismatch(as_seen(found))


def _preconditions(deployment: Deployment) -> str:
    deployment.connector.validate(is_double_accepted=deployment.is_double_accepted)
    with database.connect(deployment.source.url) as connection:
        require_whole(connection, deployment.capture, SourceHistory(deployment.kafka, deployment.connector.name))
        if deployment.capture.definitions is not None:
            require_sendable(connection, deployment.capture.definitions)
    return "all hold"


def _topics(deployment: Deployment) -> str:
    wanted = all_topics(deployment)
    admin = deployment.kafka.admin()
    created, tuned = topics.create_missing(admin, wanted), topics.tune(admin, wanted)
    changes = [f"created {', '.join(created)}"] if created else []
    changes += [f"changed settings of {', '.join(tuned)}"] if tuned else []
    return "; ".join(changes) or UNCHANGED


def _missing_topics(deployment: Deployment) -> str:
    admin, wanted = deployment.kafka.admin(), all_topics(deployment)
    present = topics.describe(admin, [topic.name for topic in wanted])
    created = topics.create_missing(admin, [topic for topic in wanted if topic.name not in present])
    return f"created {', '.join(created)}" if created else UNCHANGED


def all_topics(deployment: Deployment) -> list[TopicSpec]:
    """Return the topics of the connector and of the workers, as set-up creates them."""
    replicas = deployment.topics.replication_factor
    workers = [replace(topic, replication_factor=replicas) for topic in deployment.worker_topics]
    return topics.topic_specs(deployment.connector, deployment.topics) + workers


def _connector(deployment: Deployment) -> str:
    name = deployment.connector.name
    with database.connect(deployment.source.url) as connection:
        version = connection.info.server_version // 10_000
    wanted = dict(deployment.connector.for_server(version).settings)
    with closing(ConnectClient(deployment.connect_url)) as client:
        is_new = name not in client.names()
        if is_new:
            # Kafka Connect may remember the offsets of a connector of this name that was deleted.
            client.create_stopped(name, wanted)
            client.wait_until_stopped(name, CONNECTOR_STOP_TIMEOUT_S)
            if client.offsets(name) and not _has_records(deployment):
                # The offsets would keep the connector from the snapshot that an empty log needs.
                client.forget_offsets(name)
        _require_unbroken(deployment, client)
        # Read before the settings are changed: while Kafka Connect applies them, it does not report that a connector is
        # stopped.
        is_at_rest = client.status(name).is_paused_or_stopped
        outcome = "created" if is_new else UNCHANGED
        if not is_new and client.config(name) != {**wanted, "name": name}:
            client.put_config(name, wanted)
            outcome = "settings changed"
        status = client.status(name)
        if status.has_failed:
            client.restart_failed(name)
            outcome = "restarted" if outcome == UNCHANGED else outcome
        elif is_at_rest or status.is_paused_or_stopped:
            client.resume(name)
            outcome = "resumed" if outcome == UNCHANGED else outcome
        client.wait_until_running(name, CONNECTOR_START_TIMEOUT_S)
        return f"{outcome}, running"


def _has_records(deployment: Deployment) -> bool:
    return any(end_offsets(deployment.kafka.admin(), deployment.connector.table_topics).values())


def _require_unbroken(deployment: Deployment, client: ConnectClient) -> None:
    with database.connect(deployment.source.url) as connection:
        slot = replication.read_slot(connection, deployment.connector.slot)
    require_no_gap(deployment.connector.slot, slot, client.offsets(deployment.connector.name))


def stop_connector(client: ConnectClient, name: str) -> None:
    """Stop a connector, and wait until its tasks have ended.

    Raises:
        ConnectorMissing: the connector does not exist.
    """
    client.stop(name)
    client.wait_until_stopped(name, CONNECTOR_STOP_TIMEOUT_S)


def drop_slot(deployment: Deployment) -> bool:
    """Drop the connector's slot once it is inactive. Return whether it existed."""
    with database.connect(deployment.source.admin_url) as connection:
        return replication.drop_slot(connection, deployment.connector.slot, SLOT_RELEASE_TIMEOUT_S)
