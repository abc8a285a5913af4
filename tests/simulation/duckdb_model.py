"""Analytics model in real DuckDB files, with faults of its one process and its disk.

A killed process leaves the files as they are at that moment; the next process opens a copy of them. A full disk is
real: the operating system limits the file size while a transaction is committed.
"""

from __future__ import annotations

import resource
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, cast

import duckdb

from pipeline.ingest.projection import Projection, RowProjection
from sinks.batch import Batch
from sinks.duckdb.catalog import generation_path
from sinks.duckdb.metadata import read_metadata
from sinks.duckdb.sql_text import quote_identifier
from sinks.duckdb.store import DuckdbStore
from sinks.duckdb.tables import ORDER_COLUMNS_SQL
from sinks.ordering.range_tombstone import RangeTombstone
from sinks.ordering.register import EMPTY_REGISTER, Change, Register
from sinks.shape import Shape
from sinks.sink import Store
from tests.model_based.batches import row_batch
from tests.model_based.connector import Record
from tests.model_based.database import Row
from tests.model_based.delivery import Arrivals
from tests.model_based.projection import ROWS, Name
from tests.model_based.source import TABLES
from tests.simulation.invariant_checker import Held
from tests.simulation.log import CONTRACT
from tests.simulation.store_model import GENERATION, Hazard, Surroundings

MEMORY = Path("/dev/shm")
"""Directory for files in memory, if the system has one: on a disk, thousands of commits would be slow."""

_FULL_AFTER_BYTES = (0, 100, 2_000)
"""Bytes of a commit that still fit on the disk."""


class DuckdbSide:
    """A directory, and the process that has its files open."""

    processes = 1
    form = ROWS
    projection: Projection = RowProjection(CONTRACT)
    shapes: Sequence[Shape] = CONTRACT.row_shapes()

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._directories = TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None)
        self._epoch_history = 0
        self._is_disk_full = False
        self._copy: Path | None = None
        self._store: _Store | None = None
        self._last = Held()
        self._is_changed = False

    @property
    def directory(self) -> Path:
        """The directory of the files of the current process."""
        return Path(self._directories.name) / f"life-{self._epoch_history}"

    @contextmanager
    def installed(self) -> Iterator[None]:
        try:
            yield
        finally:
            self._directories.cleanup()

    @contextmanager
    def opened(self) -> Iterator[Store]:
        with closing(_Store(self, self.directory)) as store:
            # Queries are tiny here, and threads would only slow them down.
            store.instance().execute("SET threads = 1")
            self._store, self._is_changed = store, True
            yield store

    def begun(self) -> None:
        """Do nothing: everything committed is durable."""

    def held(self) -> Held:
        if self._is_changed and self._store is not None and self._store.is_open:
            with suppress(duckdb.FatalException), self._store.reading() as connection:
                self._last = _held(connection)
                self._is_changed = False
        return self._last

    def hazards(self) -> Mapping[str, Hazard]:
        return {
            "disk is full": self._fill_the_disk,
            "disk is not full any more": self.heal,
            "copy is taken": self._take_a_copy,
            "copy is restored": self._restore,
        }

    def killed(self) -> None:
        self._begin_anew(self.directory)

    def heal(self) -> None:
        self._is_disk_full = False

    def sweep(self, range_tombstone: RangeTombstone) -> RangeTombstone:
        return range_tombstone

    def repair(self, record: Record) -> Batch:
        return row_batch(Arrivals([record]))

    def step(self) -> None:
        """Let other tasks run between two statements."""
        self._around.scheduler.pause(0.01)

    def committed(self) -> None:
        """Check the store after a commit."""
        self._is_changed = True
        self._around.look()

    @contextmanager
    def disk(self) -> Iterator[None]:
        """Commit a transaction to a disk that may be full."""
        if not (self._is_disk_full or self._around.weather.strikes("commit meets a full disk", 0.03)):
            yield
            return
        wal = generation_path(self.directory, GENERATION).with_suffix(".duckdb.wal")
        size_bytes = wal.stat().st_size if wal.exists() else 0
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        room_bytes = self._around.weather.lots.choice(_FULL_AFTER_BYTES)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes + room_bytes, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    def _fill_the_disk(self) -> None:
        self._is_disk_full = True

    def _take_a_copy(self) -> None:
        self._copy = Path(self._directories.name) / "copy"
        shutil.rmtree(self._copy, ignore_errors=True)
        shutil.copytree(self.directory, self._copy)

    def _restore(self) -> None:
        if self._copy is not None:
            self._around.kill_all()
            self._begin_anew(self._copy)
            self._last = Held()
            self._around.went_back()

    def _begin_anew(self, files: Path) -> None:
        self._store = None
        self._epoch_history += 1
        shutil.copytree(files, self.directory, ignore=shutil.ignore_patterns("spill"))


class _Store(DuckdbStore):
    """The production store with a disk that may be full; other tasks may run within its transactions."""

    def __init__(self, side: DuckdbSide, directory: Path) -> None:
        super().__init__(directory, CONTRACT.row_shapes())
        self._side = side

    @property
    def is_open(self) -> bool:
        """True if the store can be read."""
        return self._instance is not None

    def connection(self, generation: int) -> duckdb.DuckDBPyConnection:
        return cast("duckdb.DuckDBPyConnection", _Connection(self._side, super().connection(generation)))

    def reading(self) -> duckdb.DuckDBPyConnection:
        """Return a connection for reading."""
        return super().connection(GENERATION)


class _Connection:
    """One connection; other tasks may run before every statement."""

    def __init__(self, side: DuckdbSide, connection: duckdb.DuckDBPyConnection) -> None:
        self._side = side
        self._connection = connection

    def __enter__(self) -> _Connection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def execute(self, statement: str, *values: object) -> Any:
        if statement != "ROLLBACK":
            self._side.step()
        if statement != "COMMIT":
            return self._connection.execute(statement, *values)
        with self._side.disk():
            self._connection.execute(statement)
        self._side.committed()
        return self._connection


def _held(connection: duckdb.DuckDBPyConnection) -> Held:
    registers: dict[Name, Register] = {}
    visible: dict[Name, int] = {}
    for table in TABLES:
        kept = connection.execute(f"SELECT id, {ORDER_COLUMNS_SQL} FROM registers.{quote_identifier(table)}").fetchall()
        for key, epoch, is_snapshot, *place in kept:
            name, change = Name(Row(table, key)), Change(epoch, *place)
            known = registers.get(name, EMPTY_REGISTER)
            registers[name] = Register(known.streamed, change) if is_snapshot else Register(change, known.snapshot)
        shown = connection.execute(f"SELECT id, value FROM memory.main.{quote_identifier(table)}").fetchall()
        visible.update({Name(Row(table, key)): value for key, value in shown})
    return Held(registers, visible, read_metadata(connection).progress.offsets)
