"""Log of a deployment: its topics and their consumer groups."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from functools import partial

from confluent_kafka.admin import AdminClient

from connectors import topics
from connectors.kafka import end_offsets
from connectors.topics import TopicIdentityRequest
from pipeline import read_models
from pipeline.ingest.control_topic import TOPIC
from pipeline.ingest.groups import committed_topics, remove_group
from pipeline.postgres.source_history import SourceHistory
from pipeline.setup.source import Deployment, all_topics
from pipeline.teardown.connectors import Connectors
from pipeline.teardown.found import Area, LeftAlone, RemovablePart
from pipeline.teardown.traces import Traces, of_topics

GROUP = re.compile(rf"readmodels\.({'|'.join(read_models.READ_MODELS)})\.\d+(\.in-place\.[0-9a-f]+)?")


def find_log(deployment: Deployment, traces: Traces, connectors: Connectors) -> tuple[Area, Traces]:
    """Find the topics and consumer groups of a deployment.

    Returns: the area, and the ids of the deployment's own topics.
    """
    area, found = Area("topics and consumer groups"), Traces()
    with area.looking():
        # Keep a reference: a garbage-collected AdminClient never completes its futures.
        admin = deployment.kafka.admin()
        own = {*traces.topics} - _of_others(connectors)
        found = of_topics(TopicIdentityRequest(admin, sorted(own)).result())
        described = {topic.name for topic in all_topics(deployment)} - {TOPIC}
        unproven = {one.name for one in TopicIdentityRequest(admin, sorted(described - traces.topics)).result()}
        taken, left = _divided(admin, unproven - _of_others(connectors), is_only_sign=not found)
        area.left += [_unproven(name) for name in sorted(left)]
        area.found += [_group(deployment, name) for name in _groups(deployment, {*own, *taken}, connectors)]
        area.found += [_topic(deployment, name) for name in sorted({*found.topics, *taken})]
        area.found += _control(deployment, admin, traces, connectors)
    return area, found


def _divided(admin: AdminClient, names: Collection[str], *, is_only_sign: bool) -> tuple[set[str], set[str]]:
    """Divide topics with names from the current definitions into those to remove and those to leave.

    If the deployment has no other topics, these are the topics of an interrupted setup. If it has other topics, the
    definitions were changed since, and only an empty topic can come from an interrupted setup.
    """
    if is_only_sign or not names:
        return {*names}, set()
    ends = end_offsets(admin, names)
    left = {topic for (topic, _), end in ends.items() if end}
    return {*names} - left, left


def _of_others(connectors: Connectors) -> set[str]:
    return {topic for one in connectors.others for topic in (*one.table_topics, *one.service_topics)}


def _unproven(name: str) -> LeftAlone:
    return LeftAlone(
        f"topic {name} stays: it holds records, and no read model or connector of this deployment names it",
        f"If nobody needs it, delete it: kafka-topics --bootstrap-server HOST:PORT --delete --topic {name}",
    )


def _groups(deployment: Deployment, own: Collection[str], connectors: Connectors) -> list[str]:
    """Return groups with offsets of own topics; also groups without offsets if there is no other deployment."""
    found = []
    for group, committed in committed_topics(deployment.kafka, GROUP).items():
        if committed & {*own} if committed else not connectors.others:
            found.append(group)
    return sorted(found)


def _group(deployment: Deployment, name: str) -> RemovablePart:
    return RemovablePart(f"group {name}", partial(remove_group, deployment.kafka, name))


def _topic(deployment: Deployment, name: str) -> RemovablePart:
    def remove() -> None:
        topics.delete(deployment.kafka.admin(), [name])

    return RemovablePart(f"topic {name}", remove)


def _control(
    deployment: Deployment, admin: AdminClient, traces: Traces, connectors: Connectors
) -> Iterable[RemovablePart]:
    """Yield the control topic, or only this deployment's entries in it if another deployment uses the topic too."""
    used = {topic.name for topic in deployment.worker_topics}
    if TOPIC in used and topics.describe(admin, [TOPIC]) and not connectors.others:
        yield _topic(deployment, TOPIC)
        return
    for name in sorted({*traces.connectors, deployment.connector.name}):
        history = SourceHistory(deployment.kafka, name)
        if history.is_known():
            yield RemovablePart(f"history of connector {name}", history.forget)
