"""Tests of the remedies for topics and consumer groups, carried out on real brokers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import stamina
from confluent_kafka import Consumer
from confluent_kafka.admin import AdminClient, NewTopic

import connectors.kafka
from connectors import topics
from connectors.kafka import KafkaUnavailable, end_offsets
from connectors.topics import TopicIdentityRequest
from pipeline import read_models
from pipeline.cli.context import local_defaults
from pipeline.config import Settings, load
from pipeline.epochs import opening
from pipeline.epochs.fingerprint import of_topics
from pipeline.epochs.guard import EpochGuard, TopicNotFound
from pipeline.epochs.opening import LogState, WorkersRunning, require_no_workers
from pipeline.ingest import control_topic, groups
from pipeline.ingest.control_topic import ControlTopicMissing, read_control
from pipeline.ingest.epoch_history import EpochHistory
from pipeline.ingest.groups import GroupInUse, remove_group
from pipeline.ingest.log_mismatch import EpochMismatch
from pipeline.service_addresses import SourceSettings
from pipeline.setup.source import Deployment, init_steps, run_steps
from stack.endpoints import Endpoints
from stack.paths import LOOPBACK, free_ports
from tests.integration.isolated_source import own_deployment
from tests.remedies.commands import commands
from tests.remedies.commands import settings as named_settings
from tests.remedies.shell import SHIPPED
from tests.support.waiting import wait_for
from tests.unit.pipeline.epochs.test_guard import FIRST

NAME = "kafka_remedies"
GENERATION = 4711
WITHIN_S = 60.0


@pytest.fixture
def settings(endpoints: Endpoints, tmp_path: Path) -> Settings:
    return load(SHIPPED, local_defaults(endpoints, tmp_path))


@pytest.fixture
def deployment(endpoints: Endpoints, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployment]:
    """Yield a deployment whose topics, including the control topic, do not exist."""
    monkeypatch.setattr(control_topic, "TOPIC", f"{NAME}.control")
    source = SourceSettings(url=endpoints.postgres, admin_url=endpoints.postgres_admin, replication_password="")
    made = own_deployment(endpoints, NAME, source, worker_topics=(control_topic.wanted_topic(None),))
    yield made
    names = [topic.name for topic in topics.topic_specs(made.connector, made.topics)]
    topics.delete(made.kafka.admin(), [*names, control_topic.TOPIC])


@pytest.fixture
def admin(settings: Settings) -> Iterator[AdminClient]:
    made = settings.kafka.admin()
    made.create_topics([NewTopic(NAME, 1, 1)])[NAME].result()
    yield made
    made.delete_topics([NAME])[NAME].result()


@pytest.mark.usefixtures("admin")
def test_brokers_answer_once_their_addresses_are_corrected(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as impatient:
        impatient.setattr(connectors.kafka, "REQUEST_TIMEOUT_S", 0.2)
        wrong = replace(settings.kafka, bootstrap_servers=f"{LOOPBACK}:{free_ports(1)[0]}")
        with pytest.raises(KafkaUnavailable) as silent:
            end_offsets(wrong.admin(), [NAME])
    [(section, name), _] = named_settings(silent.value.remedy)
    right = replace(wrong, **{name: getattr(getattr(settings, section), name)})
    assert end_offsets(right.admin(), [NAME]) == {(NAME, 0): 0}


def test_requests_are_read_once_init_has_created_their_topic(deployment: Deployment) -> None:
    with pytest.raises(ControlTopicMissing) as missing:
        read_control(deployment.kafka)
    assert commands(missing.value.remedy) == [["init"]]
    run_steps([step for step in init_steps(deployment) if step.name == "topics"], lambda *_: None)
    # Brokers learn of a topic some time after its creation.
    for attempt in stamina.retry_context(
        on=(ControlTopicMissing, KafkaUnavailable), attempts=None, timeout=60, wait_max=0.1
    ):
        with attempt:
            assert read_control(deployment.kafka) == {}


def test_a_topic_that_is_gone_is_made_by_init_and_is_another_one(deployment: Deployment) -> None:
    [make] = [step for step in init_steps(deployment) if step.name == "topics"]
    run_steps([make], lambda *_: None)
    admin, names = deployment.kafka.admin(), list(deployment.connector.table_topics)
    wait_for(
        lambda: len(TopicIdentityRequest(admin, names).result()) == len(names),
        WITHIN_S,
        lambda: "the topics are not there",
    )
    known = EpochHistory((replace(FIRST, fingerprint=of_topics(TopicIdentityRequest(admin, names).result())),))
    gate = EpochGuard(admin, names, lambda: known)
    topics.delete(admin, names[:1])
    gone = wait_for(lambda: raised(gate), WITHIN_S, lambda: "the topic is still there")
    assert isinstance(gone, TopicNotFound)
    assert commands(gone.remedy) == [["init"]]
    run_steps([make], lambda *_: None)
    wait_for(lambda: isinstance(raised(gate), EpochMismatch), WITHIN_S, lambda: f"{raised(gate)}")
    with pytest.raises(EpochMismatch) as another:
        gate.check_topics()
    assert commands(another.value.remedy)[0] == ["epoch", "open", "--continue", "--execute"]


def raised(gate: EpochGuard) -> Exception | None:
    """Return the error that a check of the topics raises."""
    try:
        gate.check_topics()
    except (TopicNotFound, EpochMismatch) as error:
        return error
    return None


@pytest.mark.usefixtures("admin")
def test_an_epoch_is_opened_once_the_workers_have_ended(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    standing = [LogState("redis", GENERATION, True, EpochHistory(()), ())]
    group = read_models.consumer_group("redis", GENERATION)
    with closing(Consumer(settings.kafka.with_client(group_id=group))) as worker, monkeypatch.context() as impatient:
        worker.subscribe([NAME])
        while not worker.assignment():
            worker.poll(0.1)
        impatient.setattr(opening, "LEAVE_WITHIN_S", 0.0)
        with pytest.raises(WorkersRunning, match=f"generation {GENERATION} of redis") as refused:
            require_no_workers(standing, settings)
        assert refused.value.remedy.startswith("Stop every `readmodels run`")
    require_no_workers(standing, settings)


@pytest.mark.usefixtures("admin")
def test_a_consumer_group_is_removed_once_its_workers_have_ended(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = read_models.consumer_group("redis", GENERATION)
    with closing(Consumer(settings.kafka.with_client(group_id=group))) as worker, monkeypatch.context() as impatient:
        worker.subscribe([NAME])
        while not worker.assignment():
            worker.poll(0.1)
        impatient.setattr(groups, "EXPIRES_WITHIN_S", 0.0)
        with pytest.raises(GroupInUse) as refused:
            remove_group(settings.kafka, group)
        assert refused.value.remedy == "End the workers (`readmodels run`), then repeat the command."
    remove_group(settings.kafka, group)
    admin = settings.kafka.admin()
    assert group not in {one.group_id for one in admin.list_consumer_groups().result().valid}
