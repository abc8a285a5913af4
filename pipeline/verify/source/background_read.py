"""Background read of PostgreSQL's side, during the wait for the watermark and the reads of the stores."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import pyarrow.compute as pc

from pipeline.verify.comparison_set import ComparisonSet
from pipeline.verify.source.reader import Snapshot
from pipeline.verify.staging import ComparisonStore

Read = Callable[[int], None]
"""Callback with the number of documents and rows that were read since the last call."""


class BackgroundSourceRead:
    """Background thread that reads the comparison sets from PostgreSQL."""

    def __init__(self, snapshot: Snapshot, staging: ComparisonStore, read: Read) -> None:
        self._snapshot = snapshot
        self._staging = staging
        self._on_read = read
        self._is_given_up = threading.Event()
        self._sizes: dict[str, Future[tuple[int, int]]] = {}

    def of(self, subject: ComparisonSet) -> tuple[int, int]:
        """Wait until a set is staged, and return its number of documents and of source rows.

        Raises:
            SourceError: PostgreSQL cannot be read.
        """
        return self._sizes[subject.label].result()

    def documents(self, subjects: Iterable[ComparisonSet]) -> int | None:
        """Return the number of documents in these sets; None until all of them are read."""
        sizes = [self._sizes[subject.label] for subject in subjects]
        return sum(size.result()[0] for size in sizes) if all(size.done() for size in sizes) else None

    @contextmanager
    def reading(self, subjects: Iterable[ComparisonSet]) -> Iterator[None]:
        """Read these sets one after the other while the block runs."""
        with ThreadPoolExecutor(1, thread_name_prefix="postgresql") as thread:
            for subject in subjects:
                if subject.label not in self._sizes:
                    self._sizes[subject.label] = thread.submit(self._read, subject)
            try:
                yield
            finally:
                self._is_given_up.set()
                thread.shutdown(cancel_futures=True)

    def _read(self, subject: ComparisonSet) -> tuple[int, int]:
        documents = rows = 0
        for page in self._snapshot.pages(subject):
            if self._is_given_up.is_set():
                break
            self._staging.add_expected(subject, page)
            documents += page.num_rows
            rows += pc.sum(page["rows"]).as_py()
            self._on_read(page.num_rows)
        self._staging.expected_all()
        return documents, rows
