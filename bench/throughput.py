"""Throughput from a log to each model, compared with a plain consumer and the store's bulk load of the final state."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from redis import Redis

from bench import bulk, truth
from bench.carry import GENERATION, Duration, Folding, carry
from bench.consume import consume
from bench.history import History
from bench.log import Log
from pipeline import read_models
from pipeline.config import DuckdbSettings, Settings
from pipeline.stores.duckdb.read_model import open_duckdb

CONSUME = "consume"
FOLD = "decode, fold"

Report = Callable[[str], None]


@dataclass
class Samples:
    """Measurements by name, and differences between models and the expected state."""

    durations: dict[str, list[Duration]] = field(default_factory=dict)
    bulk_s: dict[str, list[float]] = field(default_factory=dict)
    differences: list[str] = field(default_factory=list)

    def add(self, name: str, duration: Duration) -> None:
        """Add one measurement."""
        self.durations.setdefault(name, []).append(duration)

    def elapsed_s(self, name: str) -> float:
        """Return the median elapsed time of a measurement."""
        return median(duration.elapsed_s for duration in self.durations[name])

    def cpu_s(self, name: str) -> float:
        """Return the median processor time of this process for a measurement."""
        return median(duration.cpu_s for duration in self.durations[name])


def measure(settings: Settings, log: Log, history: History, repetitions: int, report: Report) -> Samples:
    """Run all measurements in turn and repeatedly, so that other load on the machine affects all of them."""
    samples = Samples()
    bench = _Bench(settings, log, history, samples)
    for repetition in range(1, repetitions + 1):
        for name, step in bench.steps():
            report(f"{repetition}/{repetitions}  {name}")
            step()
    with read_models.open_store("elasticsearch", settings) as store:
        store.drop_all()
    return samples


class _Bench:
    def __init__(self, settings: Settings, log: Log, history: History, samples: Samples) -> None:
        self._settings = settings
        self._log = log
        self._history = history
        self._samples = samples
        self._documents = truth.documents(history)
        self._rows = {shape.table: truth.rows(history, shape) for shape in settings.definitions.row_shapes()}

    def steps(self) -> list[tuple[str, Callable[[], None]]]:
        """Return the steps of one round."""
        return [
            (CONSUME, self._consume),
            (FOLD, self._fold),
            ("duckdb", self._duckdb),
            ("redis", self._redis),
            ("elasticsearch", self._elasticsearch),
        ]

    def _consume(self) -> None:
        self._samples.add(CONSUME, consume(self._settings, self._log))

    def _fold(self) -> None:
        self._samples.add(FOLD, carry(FOLD, Folding(self._settings), self._settings, self._log))

    def _duckdb(self) -> None:
        with TemporaryDirectory(prefix="bench-") as folder:
            settings = self._settings.model_copy(update={"duckdb": DuckdbSettings(directory=Path(folder))})
            with closing(open_duckdb(settings)) as store:
                self._samples.add("duckdb", carry("duckdb", store.sink(GENERATION), settings, self._log))
                self._note("duckdb", truth.difference_of_duckdb(store, settings, self._history))
            columns = {name: table.columns for name, table in settings.definitions.tables.items()}
            self._note_bulk("duckdb", bulk.load_duckdb(Path(folder), self._rows, columns))

    def _redis(self) -> None:
        with closing(Redis.from_url(self._settings.redis.url)) as redis:
            redis.flushall()
        self._documents_into("redis", lambda: truth.read_redis(self._settings))
        self._note_bulk("redis", bulk.load_redis(self._settings, self._documents))

    def _elasticsearch(self) -> None:
        with read_models.open_store("elasticsearch", self._settings) as store:
            store.drop_all()
        self._documents_into("elasticsearch", lambda: truth.read_elasticsearch(self._settings))
        self._note_bulk("elasticsearch", bulk.load_elasticsearch(self._settings, self._documents))

    def _documents_into(self, model: str, read: Callable[[], dict[str, object]]) -> None:
        with read_models.open_store(model, self._settings) as store:
            sink = store.sink(GENERATION)
            sink.prepare()
            sink.cutover()
            self._samples.add(model, carry(model, sink, self._settings, self._log))
            self._note(model, truth.difference_of_documents(read(), self._documents))

    def _note(self, model: str, difference: str | None) -> None:
        if difference is not None:
            self._samples.differences.append(f"{model}: {difference}")

    def _note_bulk(self, model: str, elapsed_s: float) -> None:
        self._samples.bulk_s.setdefault(model, []).append(elapsed_s)
