"""The epochs of a generation as its worker knows them."""

from __future__ import annotations

import time
from contextlib import closing

import structlog

from connectors.topics import Asked
from pipeline.config import Settings
from pipeline.epochs.fingerprint import Fingerprint, of_source, of_topics
from pipeline.epochs.offset_sink import lives_of
from pipeline.ingest.epoch_history import Lives
from pipeline.postgres.database import SourceUnavailable, connect
from pipeline.postgres.server_state import read_facts
from sinks.epoch import Epoch, EpochKind
from sinks.errors import StoreUnavailable
from sinks.generation import now
from sinks.sink import Generations

log = structlog.get_logger()

LOOKS_EVERY_S = 10.0
"""How soon it is known here that another process has settled the epoch."""


class Known:
    """Answers with the epochs of one generation.

    No epoch is opened while a worker is at work (`pipeline.epochs.opening`), so that only what is known of the last one
    may change.
    """

    def __init__(self, store: Generations, generation: int) -> None:
        self._store = store
        self._generation = generation
        self._lives = lives_of(store, generation)
        self._looks_at = time.monotonic() + LOOKS_EVERY_S

    def __call__(self) -> Lives:
        """The epochs, at most some seconds old."""
        if self._lives.settled is None and time.monotonic() > self._looks_at:
            try:
                self._lives = lives_of(self._store, self._generation)
            except StoreUnavailable as error:
                log.debug("epochs not looked at", reason=str(error))
            self._looks_at = time.monotonic() + LOOKS_EVERY_S
        return self._lives

    def note(self, epoch: Epoch) -> None:
        """Keep what is known of an epoch.

        Raises:
            StoreUnavailable: the store cannot serve now.
        """
        self._store.note(self._generation, epoch)
        self._lives = lives_of(self._store, self._generation)


def known_epochs(store: Generations, generation: int, settings: Settings) -> Known:
    """The epochs of a generation that is to be fed now; where none was noted, the log as it is becomes the first.

    Args:
        settings: those that the generation is fed under.

    Raises:
        KafkaUnavailable, StoreUnavailable: they do not answer.
    """
    known = Known(store, generation)
    lives = known()
    if not lives.epochs:
        known.note(Epoch(number=0, kind=EpochKind.FIRST, fingerprint=fingerprint(settings), opened_at=now()))
    return known


def fingerprint(settings: Settings) -> Fingerprint:
    """By what the log is known that is there now; without the source's part where PostgreSQL does not answer.

    Raises:
        KafkaUnavailable: the brokers do not answer.
    """
    # Held by name: the answer of an admin client that is collected never comes.
    admin = settings.kafka.admin()
    found = of_topics(Asked(admin, settings.contract.topics).answer())
    try:
        with closing(connect(settings.source.url)) as connection:
            return found | of_source(read_facts(connection, settings.connector.slot).system_identifier)
    except SourceUnavailable as error:
        log.warning("source not looked at", reason=str(error))
        return found
