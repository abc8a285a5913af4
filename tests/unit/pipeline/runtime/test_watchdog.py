"""Tests of store calls that exceed their time limit."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace
from typing import cast

import pyarrow as pa
import pytest

from pipeline.config import Settings
from pipeline.read_models import READ_MODELS
from pipeline.runtime.watchdog import CHANGES_PER_BUDGET, Watchdog, WatchedSink, WatchedStore
from pipeline.worker_settings import WatchdogSettings
from sinks.batch import Batch, Mutations, Progress
from sinks.generation import GenerationMetadata
from sinks.memory import MemoryStore

LONG_S = 30.0
SHORT_S = 0.05


class HangingSink:
    """A sink that blocks until it is released."""

    def __init__(self, let_go: threading.Event) -> None:
        self._let_go = let_go

    def prepare(self) -> None:
        self._hang()

    def progress(self) -> Progress:
        self._hang()
        return Progress({})

    def write(self, _batch: Batch) -> None:
        self._hang()

    def cutover(self) -> None:
        self._hang()

    def _hang(self) -> None:
        assert self._let_go.wait(LONG_S), "nobody ended what hangs"


@pytest.mark.parametrize("call", ["prepare", "progress", "write", "cutover"])
def test_every_call_that_hangs_ends_the_process(call: str, capfd: pytest.CaptureFixture[str]) -> None:
    ended = threading.Event()
    sink = WatchedSink(HangingSink(ended), Watchdog(SHORT_S, ended.set))
    getattr(sink, call)(*([Batch((), ())] if call == "write" else []))
    assert ended.is_set()
    assert "_hang" in capfd.readouterr().err


def test_the_budget_of_a_builders_batch_grows_with_its_size() -> None:
    ended = threading.Event()
    sink = WatchedSink(HangingSink(ended), Watchdog(SHORT_S, ended.set))
    changes = pa.table({"key": pa.nulls(6 * CHANGES_PER_BUDGET)})
    began = time.monotonic()
    sink.write(Batch((Mutations("orders", changes),), ()))
    assert time.monotonic() - began >= 6 * SHORT_S
    assert ended.is_set()


def test_calls_within_their_budget_end_nothing_and_answer_what_the_store_does() -> None:
    store, ended = MemoryStore(()), threading.Event()
    store.create(1, GenerationMetadata(is_complete=True))
    watched = WatchedStore(store, Watchdog(SHORT_S, ended.set))
    assert watched.generations() == store.generations()
    assert watched.live() == store.live()
    sink = watched.sink(1)
    sink.prepare()
    sink.cutover()
    assert (sink.progress(), watched.live()) == (Progress({}), 1)
    assert not ended.wait(SHORT_S * 4)


def test_each_model_has_a_budget_of_its_own_which_cannot_be_nothing() -> None:
    settings = cast("Settings", SimpleNamespace(watchdog=WatchdogSettings(elasticsearch_s=1, redis_s=2, duckdb_s=3)))
    assert [one.call_budget_s(settings) for one in READ_MODELS.values()] == [1, 2, 3]
    with pytest.raises(ValueError, match="above zero"):
        WatchdogSettings(redis_s=0)
