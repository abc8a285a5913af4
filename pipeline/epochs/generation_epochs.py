"""Epochs of the generation that a worker writes, and the points at which they touch a batch.

One point does not suffice, because each needs what only its stage has:

- The decoder checks that the polled records belong to the current log, by the identity of their topic and by the
  commits of their envelopes.
- The projection gives every change its ordering epoch and its stored offset (`EpochHistory.order_keys`).
- The sink translates the offset range of a batch, and the progress. Before the sink, the worker uses log offsets: it
  seeks to them, commits them to its group, and names them in errors.

Progress is checked like records, because it is read where no record has arrived yet.
"""

from __future__ import annotations

from pipeline.config import Settings
from pipeline.epochs.guard import EpochGuard, GuardedDecoder, GuardedSink
from pipeline.epochs.offset_sink import OffsetTranslatingSink
from pipeline.epochs.tracker import track_epochs
from pipeline.ingest.worker import RecordDecoder
from sinks.sink import Sink, WorkerStore


class GenerationEpochs:
    """Epochs of one generation, with the guard of its log.

    Args:
        settings: settings of the generation.

    Raises:
        KafkaUnavailable, StoreUnavailable: a service does not answer.
    """

    def __init__(self, store: WorkerStore, generation: int, settings: Settings) -> None:
        self._store = store
        self._generation = generation
        self.tracker = track_epochs(store, generation, settings)
        self.guard = EpochGuard(settings.kafka.admin(), settings.definitions.topics, self.tracker)

    def checked_decoder(self, decoder: RecordDecoder) -> RecordDecoder:
        """Return the decoder with a check that its records belong to the current log."""
        return GuardedDecoder(decoder, self.guard)

    def checked_sink(self, sink: Sink) -> Sink:
        """Return the sink with a check, at each read of its progress, that the log is still the one it was built from.

        Args:
            sink: a result of `sink`, which may be wrapped.
        """
        return GuardedSink(sink, self.guard)

    def sink(self) -> Sink:
        """Open another sink of the generation, in log offsets."""
        return OffsetTranslatingSink(self._store.sink(self._generation), self.tracker())
