"""What stands between a log and a store: nothing passes that is of another life of the log.

The brokers are asked for a topic's id with every batch, after its records were polled: what was polled is then known to
be of the topic that is there, for no id comes twice. It costs a request, which is answered while the batch is decoded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from confluent_kafka.admin import AdminClient

from connectors.decode.decoder import Decoded
from connectors.errors import SystemicError
from connectors.records import Records
from connectors.topics import Asked
from pipeline.epochs.fingerprint import changes, of_topics
from pipeline.epochs.rollback_check import Stream
from pipeline.ingest.epoch_history import Lives
from pipeline.ingest.log_mismatch import EpochEnded, Seen
from pipeline.ingest.worker import Decodes
from sinks.batch import Batch, Progress
from sinks.sink import Sink


class TopicsGone(SystemicError):
    """A topic is not there. Where it comes back, it is another one, and the worker stops before it."""

    remedy = (
        "Run `readmodels init`, which creates the topic. The worker then stops, because the topic is another one, and "
        "says how to go on."
    )


class Gate:
    """The gate of one generation.

    Args:
        admin: of the brokers that hold its log.
        topics: those that it is fed from.
        lives: answers with its epochs.
    """

    def __init__(self, admin: AdminClient, topics: Iterable[str], lives: Callable[[], Lives]) -> None:
        self._admin = admin
        self._topics = list(topics)
        self._lives = lives
        self._stream = Stream()

    def require_same(self) -> None:
        """Look at all topics.

        Raises:
            EpochEnded: one is another one, or has other partitions.
            TopicsGone, KafkaUnavailable: it cannot be told.
        """
        self._require_answer(Asked(self._admin, self._topics))

    def decoded(self, records: Records, decode: Callable[[Records], Decoded]) -> Decoded:
        """Decode records once it is certain that they may be taken in.

        Raises:
            EpochEnded: they are of another life of the log.
            TopicsGone, KafkaUnavailable: it cannot be told.
        """
        asked = Asked(self._admin, [records.topic])
        decoded = decode(records)
        self._require_answer(asked)
        _refuse(list(self._stream.seen(self._lives(), records, decoded.envelopes)))
        return decoded

    def _require_answer(self, asked: Asked) -> None:
        found = asked.answer()
        _refuse(list(changes(self._lives().fingerprint, of_topics(found))))
        gone = set(asked.names) - {one.name for one in found}
        if gone:
            raise TopicsGone(f"there is no topic {', '.join(sorted(gone))}")


class GatedDecoder:
    """A decoder behind a gate."""

    def __init__(self, decoder: Decodes, gate: Gate) -> None:
        self._decoder = decoder
        self._gate = gate

    def decode(self, records: Records) -> Decoded:
        return self._gate.decoded(records, self._decoder.decode)


class GatedSink:
    """A sink that tells its progress only while the log is the one that it was fed from.

    It is asked for it wherever reading begins, and now and then while nothing comes.
    """

    def __init__(self, sink: Sink, gate: Gate) -> None:
        self._sink = sink
        self._gate = gate

    def prepare(self) -> None:
        self._sink.prepare()

    def progress(self) -> Progress:
        self._gate.require_same()
        return self._sink.progress()

    def write(self, batch: Batch) -> None:
        self._sink.write(batch)

    def cutover(self) -> None:
        self._sink.cutover()


def _refuse(seen: Sequence[Seen]) -> None:
    if seen:
        raise EpochEnded(seen)
