"""DuckDB store: one file per generation in one directory, and the one process that may write them.

DuckDB locks an open file against all other processes. So one process has the directory's lock and all files open. A
small file beside them says which generation is live, and any process can read it (`sinks.duckdb.catalog`). Other
processes send their requests to the writer (`sinks.duckdb.remote.server`).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import IO

import duckdb
import structlog

from sinks.duckdb.analytics_views import NO_VIEWS, AnalyticsViews
from sinks.duckdb.catalog import (
    GenerationCatalog,
    generation_path,
    generations_in,
    read_catalog,
    restore_catalog,
    size_bytes,
)
from sinks.duckdb.errors import DuckdbBroken, translate_errors
from sinks.duckdb.live_views import publish_live_views
from sinks.duckdb.sink import DuckdbSink
from sinks.duckdb.sql_text import quote_literal
from sinks.epoch import Epoch
from sinks.errors import GenerationInUse, GenerationMissing, StoreNeedsRestart, StoreUnavailable
from sinks.generation import NO_METADATA, GenerationMetadata, utc_now
from sinks.rejection import NO_REJECTIONS, Rejections
from sinks.shape import RowShape, Shape

CHECKPOINT_THRESHOLD = "1GB"
"""WAL size at which DuckDB checkpoints by itself. At its default of 16 MB, each small batch pays for a checkpoint."""


log = structlog.get_logger()


class WriterLockHeld(StoreUnavailable):
    """Another process has the directory locked. The store has one writer."""

    remedy = "Nothing to do: this worker stands by and takes over when the other ends. Its process is named above."


class FileReplaced(StoreNeedsRestart):
    """Another file, such as a backup, replaced a generation's file. This process would write to the old file."""

    remedy = "Nothing to do: the worker is started again, opens the new file and reads the log from where it stands."


class DuckdbStore:
    """Directory of generations. Its methods may be called from several threads.

    Args:
        directory: the folder of the files; created if it is missing.
        shapes: the tables of a generation.
        memory_limit: the memory that DuckDB may use, such as "2GB".
        analytics: the views that readers find beside the tables.
    """

    def __init__(
        self,
        directory: Path,
        shapes: Sequence[RowShape],
        memory_limit: str = "2GB",
        analytics: AnalyticsViews = NO_VIEWS,
    ) -> None:
        self._directory = directory
        self._shapes = tuple(shapes)
        self._memory_limit = memory_limit
        self._analytics = analytics
        self._lock: IO[str] | None = None
        self._instance: duckdb.DuckDBPyConnection | None = None
        self._attached: dict[int, int] = {}
        """Inode of every attached file, by generation. A file of the same name may replace it."""
        self._files = threading.RLock()
        self._writing: defaultdict[int, threading.Lock] = defaultdict(threading.Lock)

    def generations(self) -> dict[int, GenerationMetadata]:
        return generations_in(self._directory)

    def live(self) -> int | None:
        return read_catalog(self._directory).live

    def path(self, generation: int) -> Path:
        """Return the path of one generation's file."""
        return generation_path(self._directory, generation)

    def sink(self, generation: int) -> DuckdbSink:
        made_of = rows_of(self.generations().get(generation, NO_METADATA).shapes)
        return DuckdbSink(self, generation, made_of or self._shapes)

    def create(self, generation: int, record: GenerationMetadata) -> None:
        if not self.path(generation).exists():
            # Write the metadata before the file: a file without metadata would count as complete.
            self._note(lambda ledger: ledger.with_metadata(generation, record))
            self._attach(generation)
        DuckdbSink(self, generation, rows_of(record.shapes) or self._shapes).prepare()

    def mark_complete(self, generation: int, filled_per_s: float = 0.0) -> None:
        self._note(lambda ledger: ledger.with_metadata(generation, ledger.get(generation).as_complete(filled_per_s)))

    def mark_rejected(self, generation: int) -> None:
        self._note(lambda ledger: ledger.with_metadata(generation, ledger.get(generation).as_rejected()))

    def record_epoch(self, generation: int, epoch: Epoch) -> None:
        self._note(lambda ledger: ledger.with_metadata(generation, ledger.get(generation).with_epoch(epoch)))

    def drop(self, generation: int) -> None:
        if generation == self.live():
            raise GenerationInUse(f"generation {generation} of duckdb is live")
        self._remove(generation)
        self._note(lambda ledger: ledger.without(generation))

    def drop_all(self) -> None:
        self.mend()
        self._show(None)
        self._note(lambda _: GenerationCatalog())
        for generation in self.generations():
            self._remove(generation)

    def size_bytes(self, generation: int) -> int:
        return size_bytes(self._directory, generation)

    def mend(self) -> None:
        """Open the files even if the catalog is damaged: see `sinks.duckdb.catalog.restore_catalog`."""
        self.open()
        with self._files:
            restore_catalog(self._directory)

    def rejections(self, generation: int) -> Rejections:  # noqa: ARG002
        return NO_REJECTIONS

    def write_lock(self, generation: int) -> threading.Lock:
        """Return the lock for writes to a generation. DuckDB would reject the second of two concurrent transactions."""
        return self._writing[generation]

    def _note(self, change: Callable[[GenerationCatalog], GenerationCatalog]) -> None:
        self.open()
        with self._files:
            change(read_catalog(self._directory)).write(self._directory)

    def _remove(self, generation: int) -> None:
        self.open()
        with self.write_lock(generation), self._files:
            if generation in self._attached:
                self.instance().execute(f"DETACH {catalog_name(generation)}")
                del self._attached[generation]
            for suffix in ("", ".wal"):
                self.path(generation).with_name(self.path(generation).name + suffix).unlink(missing_ok=True)

    def open(self) -> None:
        """Lock the directory, and show readers the live generation.

        Raises:
            WriterLockHeld: another process has the lock.
        """
        if self._lock is None:
            self._lock = self._locked()
        if self._instance is None:
            self._instance = self._connected()
            try:
                self._show_live()
            except BaseException:
                # A half-open store would count as open, and readers would find no tables.
                self.close()
                raise

    def instance(self) -> duckdb.DuckDBPyConnection:
        """Return the connection that serves readers. Each thread uses its own cursor of it."""
        self.open()
        assert self._instance is not None
        return self._instance

    def connection(self, generation: int) -> duckdb.DuckDBPyConnection:
        """Return a new connection to one generation.

        Raises:
            GenerationMissing: the generation has no file.
            FileReplaced: another file replaced the one that this process has open.
            DuckdbBroken: the file is damaged, or is missing although the generation is live.
        """
        inode = self._inode(generation)
        if inode is None:
            self._require_file(generation)
            raise GenerationMissing(f"DuckDB has no generation {generation} in {self._directory}")
        if self._attached.get(generation, inode) != inode:
            raise FileReplaced(f"{self.path(generation)} was replaced while this process held it")
        self.attach(generation)
        cursor = self.instance().cursor()
        cursor.execute(f"USE {catalog_name(generation)}")
        return cursor

    def attach(self, generation: int) -> None:
        """Attach a generation's file. A missing file is created, unless the generation is live.

        Raises:
            DuckdbBroken: the file is damaged, or lost.
        """
        self._require_file(generation)
        self._attach(generation)

    def _require_file(self, generation: int) -> None:
        """Refuse to replace a lost file with an empty one, because its readers would see missing rows."""
        if generation in self.generations() and not self.path(generation).exists():
            raise DuckdbBroken(f"the file of generation {generation} is gone: {self.path(generation)}")

    def _attach(self, generation: int) -> None:
        self.open()
        with self._files:
            if generation not in self._attached:
                with translate_errors(f"generation {generation}"):
                    self.instance().execute(
                        f"ATTACH {quote_literal(str(self.path(generation)))} AS {catalog_name(generation)}"
                    )
                self._attached[generation] = self.path(generation).stat().st_ino

    def set_live(self, generation: int) -> None:
        """Make a generation live: on disk first, then for connected readers."""
        self.connection(generation).close()
        moment = utc_now()
        self._note(lambda ledger: ledger.with_live(generation, moment))
        self._show(catalog_name(generation))

    def refresh_if_live(self, generation: int) -> None:
        """Show readers the tables of a generation if it is live."""
        if generation == self.live():
            self._show(catalog_name(generation))

    def close(self) -> None:
        """Checkpoint all files and release the lock. Repeated calls have no effect."""
        if self._instance is not None:
            for generation in sorted(self._attached):
                # Data that cannot be checkpointed is in the WAL, which the next open replays.
                with contextlib.suppress(duckdb.Error):
                    self._instance.execute(f"CHECKPOINT {catalog_name(generation)}")
            self._instance.close()
            self._instance = None
        self._attached.clear()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _inode(self, generation: int) -> int | None:
        try:
            return self.path(generation).stat().st_ino
        except FileNotFoundError:
            return None

    def _connected(self) -> duckdb.DuckDBPyConnection:
        connection = duckdb.connect(
            config={"memory_limit": self._memory_limit, "temp_directory": str(self._directory / "spill")}
        )
        connection.execute(f"SET checkpoint_threshold = '{CHECKPOINT_THRESHOLD}'")
        # A table name in a query must never resolve to a Python variable.
        connection.execute("SET python_enable_replacements = false")
        return connection

    def _show_live(self) -> None:
        """Show readers the live generation. If it is damaged they see no tables; new generations can still be built."""
        try:
            live = self.live()
            if live is not None:
                self.attach(live)
                with translate_errors(f"generation {live}"):
                    self._show(catalog_name(live))
        except DuckdbBroken as error:
            log.error("live generation cannot be read", model="duckdb", reason=str(error), remedy=error.remedy)

    def _show(self, name: str | None) -> None:
        publish_live_views(name, self.instance(), self._analytics)

    def _locked(self) -> IO[str]:
        self._directory.mkdir(parents=True, exist_ok=True)
        if self._directory.stat().st_uid == os.geteuid():
            # The files contain the rows for which readers need a token.
            self._directory.chmod(0o700)
        lock = (self._directory / "writer.lock").open("a+")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            holder = lock.read().strip() or "unknown"
            lock.close()
            raise WriterLockHeld(f"process {holder} writes DuckDB in {self._directory}") from error
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        return lock


def catalog_name(generation: int) -> str:
    """Return the name under which a generation's file is attached."""
    return f"generation_{generation:06}"


def rows_of(shapes: Iterable[Shape]) -> tuple[RowShape, ...]:
    """Return the shapes that are tables."""
    return tuple(shape for shape in shapes if isinstance(shape, RowShape))
