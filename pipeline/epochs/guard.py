"""What stands between a log and a store: nothing passes that is of another life of the log.

The brokers are asked for a topic's id with every batch, after its records were polled: what was polled is then known to
be of the topic that is there, for no id comes twice. It costs a request, which is answered while the batch is decoded.
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
    """A topic is not there. Where it comes back, it is another one, and the worker stops before it."""

    remedy = (
        "Run `readmodels init`, which creates the topic. The worker then stops, because the topic is another one, and "
        "says how to go on."
    )


class EpochGuard:
    """The gate of one generation.

    Args:
        admin: of the brokers that hold its log.
        topics: those that it is fed from.
        epoch_history: answers with its epochs.
    """

    def __init__(self, admin: AdminClient, topics: Iterable[str], epoch_history: Callable[[], EpochHistory]) -> None:
        self._admin = admin
        self._topics = list(topics)
        self._epoch_history = epoch_history
        self._stream = RollbackDetector()

    def check_topics(self) -> None:
        """Look at all topics.

        Raises:
            EpochMismatch: one is another one, or has other partitions.
            TopicNotFound, KafkaUnavailable: it cannot be told.
        """
        self._require_answer(TopicIdentityRequest(self._admin, self._topics))

    def decode_checked(self, records: RecordBatch, decode: Callable[[RecordBatch], DecodedBatch]) -> DecodedBatch:
        """Decode records once it is certain that they may be taken in.

        Raises:
            EpochMismatch: they are of another life of the log.
            TopicNotFound, KafkaUnavailable: it cannot be told.
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
    """A decoder behind a gate."""

    def __init__(self, decoder: RecordDecoder, gate: EpochGuard) -> None:
        self._decoder = decoder
        self._gate = gate

    def decode(self, records: RecordBatch) -> DecodedBatch:
        return self._gate.decode_checked(records, self._decoder.decode)


class GuardedSink:
    """A sink that tells its progress only while the log is the one that it was fed from.

    It is asked for it wherever reading begins, and now and then while nothing comes.
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
