"""Traces of a deployment: names and ids by which its parts are recognized, independent of `readmodels.toml`.

Generations name the topics that they consume, with their ids; Kafka Connect stores the settings of a connector. Traces
are merged from one source after the other, and stored in a file while parts remain because the parts removed first may
be the only proof for parts removed later.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Self

from connectors.debezium import ConnectorConfiguration
from connectors.topics import TopicIdentity
from pipeline.definitions import ModelDefinitions, parse_definitions
from pipeline.epochs.fingerprint import SOURCE, topic_ids
from pipeline.invalid_definitions import InvalidDefinitions
from sinks.atomic_file import write_whole
from sinks.generation import GenerationMetadata
from sinks.shape import DocumentShape

FILE = "teardown.json"

Names = frozenset[str]
NONE: Names = frozenset()


@dataclass(frozen=True, kw_only=True)
class Traces:
    """Names and ids of the parts of one deployment.

    Args:
        prefixes: topic prefixes.
        topics: names of topics that it created.
        topic_ids: topics with their ids, as `name id`.
        documents: names of documents.
        tables: captured tables, as `schema.table`.
        connectors, slots, publications: their names.
        copies: files that DuckDB's worker published.
    """

    prefixes: Names = NONE
    topics: Names = NONE
    topic_ids: Names = NONE
    documents: Names = NONE
    tables: Names = NONE
    connectors: Names = NONE
    slots: Names = NONE
    publications: Names = NONE
    copies: Names = NONE

    def __or__(self, other: Traces) -> Traces:
        return Traces(**{one.name: getattr(self, one.name) | getattr(other, one.name) for one in fields(Traces)})

    def __bool__(self) -> bool:
        return any(getattr(self, one.name) for one in fields(Traces))

    def is_of(self, record: GenerationMetadata, system_identifier: str) -> bool:
        """Return whether a generation belongs to the deployment.

        The ids of its topics decide: a topic with the same name and another id belongs to another deployment. If no id
        of these topics is known, their names decide, together with the source if both are known.

        Args:
            system_identifier: of the source; empty if it is not known.
        """
        held = of_record(record)
        if held.topic_ids & self.topic_ids:
            return True
        if {_name(one) for one in held.topic_ids} & {_name(one) for one in self.topic_ids}:
            return False
        sources = {epoch.fingerprint[SOURCE] for epoch in record.epochs if SOURCE in epoch.fingerprint}
        if sources and system_identifier and system_identifier not in sources:
            return False
        return bool(held.topics) and held.topics <= self.topics

    def to_json(self) -> str:
        """Return a JSON object for `from_json`."""
        return json.dumps({name: sorted(values) for name, values in asdict(self).items()})

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Parse the result of `to_json`."""
        plain: dict[str, Any] = json.loads(text)
        return cls(**{one.name: frozenset(plain.get(one.name, ())) for one in fields(cls)})


def of_record(record: GenerationMetadata) -> Traces:
    """Return the traces in the metadata of a generation."""
    definitions = _contract(record)
    documents = {shape.name for shape in record.shapes if isinstance(shape, DocumentShape)}
    fed_from = {one for epoch in record.epochs for one in topic_ids(epoch.fingerprint)}
    topics = {_name(one) for one in fed_from}
    if definitions is None:
        return Traces(topics=frozenset(topics), topic_ids=frozenset(fed_from), documents=frozenset(documents))
    return Traces(
        prefixes=frozenset({definitions.topic_prefix}),
        topics=frozenset({*topics, *definitions.topics}),
        topic_ids=frozenset(fed_from),
        documents=frozenset({*documents, *definitions.documents}),
        tables=frozenset(table.source for table in definitions.tables.values()),
    )


def of_records(records: Iterable[GenerationMetadata]) -> Traces:
    """Return the traces in the metadata of several generations."""
    joined = Traces()
    for record in records:
        joined |= of_record(record)
    return joined


def of_connector(connector: ConnectorConfiguration, topics: Iterable[str] = ()) -> Traces:
    """Return the traces in the settings of a connector.

    Args:
        topics: topics that it has written to.
    """
    return Traces(
        prefixes=frozenset({connector.prefix}),
        topics=frozenset({*connector.table_topics, *connector.service_topics, *topics}),
        tables=frozenset(connector.tables),
        connectors=frozenset({connector.name}),
        slots=frozenset({connector.slot}),
        publications=frozenset({connector.publication}),
    )


def of_topics(identities: Iterable[TopicIdentity]) -> Traces:
    """Return the traces of the deployment's existing topics."""
    found = list(identities)
    return Traces(
        topics=frozenset(one.name for one in found), topic_ids=frozenset(f"{one.name} {one.topic_id}" for one in found)
    )


def read_traces(directory: Path) -> Traces:
    """Read the traces that an earlier teardown stored in a directory; empty if it removed everything.

    The search for DuckDB's files reports a directory that cannot be read.
    """
    try:
        return Traces.from_json((directory / FILE).read_text())
    except (OSError, ValueError):
        return Traces()


def write_traces(directory: Path, traces: Traces) -> None:
    """Store traces in a directory until all parts are removed."""
    directory.mkdir(parents=True, exist_ok=True)
    write_whole(directory / FILE, traces.to_json())


def forget_traces(directory: Path) -> None:
    """Delete the stored traces, and the directory if it is then empty."""
    (directory / FILE).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        directory.rmdir()


def _contract(record: GenerationMetadata) -> ModelDefinitions | None:
    """Return the definitions of a generation; None if they are missing or written by an incompatible version."""
    try:
        return parse_definitions(record.contract) if record.contract else None
    except (InvalidDefinitions, ValueError, KeyError, TypeError):
        return None


def _name(topic_and_id: str) -> str:
    return topic_and_id.partition(" ")[0]
