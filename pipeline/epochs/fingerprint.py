"""Fingerprint of an epoch: topic ids, partition counts, PostgreSQL system identifier."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from connectors.topics import TopicIdentity
from pipeline.ingest.log_mismatch import LogMismatch, MismatchReason

Fingerprint = Mapping[str, str]
"""Values by the name of their object. An object that could not be read is left out."""

SOURCE = "source system"
_TOPIC = "topic "


def of_topics(identities: Iterable[TopicIdentity]) -> dict[str, str]:
    """Return Kafka's part of a fingerprint."""
    return {f"{_TOPIC}{one.name}": f"{one.topic_id}, {one.partitions} partitions" for one in identities}


def topic_ids(fingerprint: Fingerprint) -> set[str]:
    """Return the topics of a fingerprint with their ids, as `name id`."""
    return {
        f"{name.removeprefix(_TOPIC)} {found.partition(', ')[0]}"
        for name, found in fingerprint.items()
        if name.startswith(_TOPIC)
    }


def of_source(system_identifier: str) -> dict[str, str]:
    """Return PostgreSQL's part of a fingerprint."""
    return {SOURCE: system_identifier}


def diff(known: Fingerprint, found: Fingerprint) -> Iterator[LogMismatch]:
    """Yield the differences between the recorded and the current fingerprint, for entries that are in both."""
    for name in sorted(known.keys() & found.keys()):
        if known[name] == found[name]:
            continue
        if name == SOURCE:
            sentence = f"the source's system identifier is {found[name]}, and was {known[name]}"
            yield LogMismatch(MismatchReason.OTHER_SOURCE, sentence)
        else:
            yield _of_topic(name.removeprefix(_TOPIC), known[name].split(", "), found[name].split(", "))


def _of_topic(topic: str, known: list[str], found: list[str]) -> LogMismatch:
    if known[0] != found[0]:
        return LogMismatch(MismatchReason.TOPIC_REMADE, f"{topic} has the id {found[0]}, and had {known[0]}", topic)
    return LogMismatch(MismatchReason.PARTITIONS_CHANGED, f"{topic} has {found[1]}, and had {known[1]}", topic)
