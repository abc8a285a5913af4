"""Guard that rejects records of another epoch, such as those of a recreated topic.

The topic's id is requested with every batch, after its records were polled. Ids are never reused, so polled records
then provably belong to the existing topic. The request is answered while the batch is decoded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from confluent_kafka.admin import AdminClient

from connectors.decode.decoder import DecodedBatch
from connectors.errors import DependencyUnavailable
from connectors.records import RecordBatch
from connectors.topics import TopicIdentityRequest
from pipeline.epochs.fingerprint import diff, of_topics
from pipeline.epochs.rollback_check import RollbackDetector
from pipeline.ingest.epoch_history import EpochHistory
from pipeline.ingest.log_mismatch import EpochMismatch, LogMismatch
from pipeline.ingest.worker import RecordDecoder
from sinks.batch import Batch, Progress
from sinks.sink import Sink


class TopicNotFound(DependencyUnavailable):
    """A topic does not exist. If it reappears, it is another topic, and the worker stops before reading it."""

    remedy = (
        "Run `readmodels init`, which creates the topic. The worker then stops, because the topic was recreated, and "
        "prints the remedy."
    )


class EpochGuard:
    """Guard of one generation.

    Args:
        admin: admin client of the brokers that have its log.
        topics: the topics that it is built from.
        epoch_history: returns its epochs.
    """

    def __init__(self, admin: AdminClient, topics: Iterable[str], epoch_history: Callable[[], EpochHistory]) -> None:
        self._admin = admin
        self._topics = list(topics)
        self._epoch_history = epoch_history
        self._stream = RollbackDetector()

    def check_topics(self) -> None:
        """Check all topics.

        Raises:
            EpochMismatch: a topic was recreated, or its partition count changed.
            TopicNotFound, KafkaUnavailable: the check is not possible now.
        """
        self._require_answer(TopicIdentityRequest(self._admin, self._topics))

    def decode_checked(self, records: RecordBatch, decode: Callable[[RecordBatch], DecodedBatch]) -> DecodedBatch:
        """Decode records, and return them once they are known to belong to the current epoch.

        Raises:
            EpochMismatch: the records belong to another epoch.
            TopicNotFound, KafkaUnavailable: the check is not possible now.
        """
        asked = TopicIdentityRequest(self._admin, [records.topic])
        decoded = decode(records)
        self._require_answer(asked)
        _refuse(list(self._stream.mismatches(self._epoch_history(), records, decoded.envelopes)))
        return decoded

    def _require_answer(self, asked: TopicIdentityRequest) -> None:
        found = asked.result()
        _refuse(list(diff(self._epoch_history().fingerprint, of_topics(found))))
        gone = set(asked.names) - {one.name for one in found}
        if gone:
            raise TopicNotFound(f"there is no topic {', '.join(sorted(gone))}")


class GuardedDecoder:
    """Decoder that checks records with a guard."""

    def __init__(self, decoder: RecordDecoder, gate: EpochGuard) -> None:
        self._decoder = decoder
        self._gate = gate

    def decode(self, records: RecordBatch) -> DecodedBatch:
        return self._gate.decode_checked(records, self._decoder.decode)


class GuardedSink:
    """Sink that returns its progress only while the log is the one that its generation was built from.

    Progress is read at the start of each topic partition, and at intervals while no records arrive.
    """

    def __init__(self, sink: Sink, gate: EpochGuard) -> None:
        self._sink = sink
        self._gate = gate

    def prepare(self) -> None:
        self._sink.prepare()

    def progress(self) -> Progress:
        self._gate.check_topics()
        return self._sink.progress()

    def write(self, batch: Batch) -> None:
        self._sink.write(batch)

    def cutover(self) -> None:
        self._sink.cutover()


def _refuse(seen: Sequence[LogMismatch]) -> None:
    if seen:
        raise EpochMismatch(seen)
