"""Inbox folder beside DuckDB's files, in which other processes put requests for the writer."""

from __future__ import annotations

import contextlib
import fcntl
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from uuid import uuid4

import structlog

from sinks.batch import Progress
from sinks.duckdb.errors import MemoryShort, translate_errors
from sinks.duckdb.remote.messages import Operation, Reply, Request
from sinks.errors import MemoryRefused, SinkError, StoreUnavailable
from sinks.sink import Store

FOLDER = "inbox"
FOLDER_MODE = 0o700
LOCK = "writer.lock"
POLL_INTERVAL_S = 0.02
IS_HELD_EVERY_S = 1.0
TAKEN_OVER_WITHIN_S = 15.0
"""Time in which a standby process takes over and opens the files after the writer has ended."""
ANSWERED_WITHIN_S = 600.0
"""Time after which a writer that does not answer counts as failed; the largest batch takes a fraction of it."""

log = structlog.get_logger()


class WriterNotRunning(StoreUnavailable):
    """No process has DuckDB's files open, or the writer has ended."""

    remedy = "Run `readmodels run duckdb`; the waiting command then continues."


class WriterServer:
    """Server side of the inbox, in the writer process.

    Args:
        directory: the folder of the files; this process has its lock.
    """

    def __init__(self, directory: Path, store: Store) -> None:
        self._folder = directory / FOLDER
        self._folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
        self._folder.chmod(FOLDER_MODE)
        self._store = store
        # These requests were sent to a previous writer. A sender that still waits sends its request again; the others
        # have ended.
        for stale in self._folder.iterdir():
            if stale.is_file():
                stale.unlink(missing_ok=True)

    @contextlib.contextmanager
    def serve_in_background(self) -> Iterator[None]:
        """Answer requests on a separate thread while the block runs. The current request is finished at the end."""
        stop = threading.Event()
        thread = threading.Thread(target=self._follow, args=(stop,), name="inbox", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def handle_pending(self, stop: threading.Event | None = None) -> int:
        """Answer requests in order of arrival until `stop` is set, and return their number."""
        found = (path for path in self._folder.glob("*.request") if path.is_file())
        requests = sorted(found, key=lambda path: path.name)
        for path in requests:
            if stop is not None and stop.is_set():
                break
            # A sender that has given up deletes its request.
            with contextlib.suppress(FileNotFoundError):
                self._answered(path).write(path.with_suffix(".reply"))
            path.unlink(missing_ok=True)
        return len(requests)

    def _follow(self, stop: threading.Event) -> None:
        while not stop.is_set():
            if not self.handle_pending(stop):
                stop.wait(POLL_INTERVAL_S)

    def _answered(self, path: Path) -> Reply:
        try:
            request = Request.read(path)
            with translate_errors(f"generation {request.generation}"):
                if request.verb is Operation.PROGRESS:
                    return Reply(self._store.sink(request.generation).progress())
                self._actions(request)[request.verb]()
        except FileNotFoundError:
            raise
        except (MemoryError, MemoryRefused):
            return Reply(error=MemoryShort("the kernel refused memory to DuckDB's writer"))
        except SinkError as error:
            return Reply(error=error)
        except Exception as error:  # noqa: BLE001 - one failing request must not stop the others
            # The exception's message is left out, because it may quote a row.
            place = traceback.extract_tb(error.__traceback__)[-1]
            reason = f"{type(error).__name__} at {Path(place.filename).name}:{place.lineno}"
            log.error("writer request failed", reason=reason)
            return Reply(error=SinkError(f"DuckDB's writer could not carry out {path.name}: {reason}"))
        return Reply()

    def _actions(self, request: Request) -> Mapping[Operation, Callable[[], None]]:
        store, generation = self._store, request.generation
        sink = store.sink(generation)
        return {
            Operation.PREPARE: sink.prepare,
            Operation.WRITE: lambda: sink.write(request.batch),
            Operation.CUTOVER: sink.cutover,
            Operation.CREATE: lambda: store.create(generation, request.record),
            Operation.COMPLETE: lambda: store.mark_complete(generation, request.record.filled_per_s),
            Operation.REJECT: lambda: store.mark_rejected(generation),
            Operation.NOTE: lambda: store.record_epoch(generation, *request.record.epochs),
            Operation.DROP: lambda: store.drop(generation),
            Operation.CLEAR: store.drop_all,
        }


def call_writer(directory: Path, request: Request, taken_over_within_s: float = TAKEN_OVER_WITHIN_S) -> Progress:
    """Send a request to the process that has the files of a directory open, and wait while there is one.

    Every request may run twice: if the writer ends, the request is sent again to the process that takes over.

    Raises:
        WriterNotRunning: no process has the files open, and none has taken over in time.
        SinkError: the error with which the request ended in the writer.
    """
    deadline = time.monotonic() + taken_over_within_s
    while True:
        try:
            return _asked_once(directory, request)
        except WriterNotRunning:
            if time.monotonic() > deadline:
                raise
            time.sleep(POLL_INTERVAL_S)


def _asked_once(directory: Path, request: Request) -> Progress:
    folder = directory / FOLDER
    # The name begins with the time, so that requests are answered in order of arrival.
    path = folder / f"{time.time_ns():020}-{uuid4().hex}.request"
    reply = path.with_suffix(".reply")
    if not is_writer_running(directory):
        raise WriterNotRunning(f"no process holds DuckDB in {directory}")
    folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
    try:
        request.write(path)
        _await(reply, path, directory)
        answer = Reply.read(reply)
    finally:
        path.unlink(missing_ok=True)
        reply.unlink(missing_ok=True)
    if answer.error is not None:
        raise answer.error
    return answer.progress


def is_writer_running(directory: Path) -> bool:
    """Return whether a process has the files of a directory open."""
    try:
        with (directory / LOCK).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False


def _await(reply: Path, path: Path, directory: Path) -> None:
    """Wait for the reply. It is written before the request is deleted."""
    began = looked_at = time.monotonic()
    while not reply.exists():
        if not path.exists() and not reply.exists():
            raise WriterNotRunning("DuckDB's writer was replaced")
        if time.monotonic() > looked_at + IS_HELD_EVERY_S:
            if not is_writer_running(directory):
                raise WriterNotRunning(f"the process that held DuckDB in {directory} has ended")
            looked_at = time.monotonic()
            if looked_at > began + ANSWERED_WITHIN_S:
                raise StoreUnavailable(f"DuckDB's writer has not answered for {ANSWERED_WITHIN_S:g} s")
        time.sleep(POLL_INTERVAL_S / 4)
