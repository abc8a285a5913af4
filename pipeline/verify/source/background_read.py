"""PostgreSQL's side, read on a thread of its own while the mark travels and the stores are read."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import pyarrow.compute as pc

from pipeline.verify.comparison_set import Subject
from pipeline.verify.source.reader import Snapshot
from pipeline.verify.staging import Scratch

Read = Callable[[int], None]
"""Is told how many more documents and rows were read."""


class Expectation:
    """What every subject must be, as soon as it is read."""

    def __init__(self, snapshot: Snapshot, scratch: Scratch, read: Read) -> None:
        self._snapshot = snapshot
        self._scratch = scratch
        self._read = read
        self._is_given_up = threading.Event()
        self._sizes: dict[str, Future[tuple[int, int]]] = {}

    def of(self, subject: Subject) -> tuple[int, int]:
        """Wait until a subject is in the scratch, and say how many documents it is, and of how many rows.

        Raises:
            SourceError: PostgreSQL cannot be read.
        """
        return self._sizes[subject.label].result()

    def documents(self, subjects: Iterable[Subject]) -> int | None:
        """How many documents these are; None while that is not known."""
        sizes = [self._sizes[subject.label] for subject in subjects]
        return sum(size.result()[0] for size in sizes) if all(size.done() for size in sizes) else None

    @contextmanager
    def reading(self, subjects: Iterable[Subject]) -> Iterator[None]:
        """Read these, one after the other, while the block runs."""
        with ThreadPoolExecutor(1, thread_name_prefix="postgresql") as thread:
            for subject in subjects:
                if subject.label not in self._sizes:
                    self._sizes[subject.label] = thread.submit(self._take_in, subject)
            try:
                yield
            finally:
                self._is_given_up.set()
                thread.shutdown(cancel_futures=True)

    def _take_in(self, subject: Subject) -> tuple[int, int]:
        documents = rows = 0
        for page in self._snapshot.pages(subject):
            if self._is_given_up.is_set():
                break
            self._scratch.expect(subject, page)
            documents += page.num_rows
            rows += pc.sum(page["rows"]).as_py()
            self._read(page.num_rows)
        self._scratch.expected_all()
        return documents, rows
