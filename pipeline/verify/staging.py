"""Staging database for the comparison of two sides that arrive in different orders and may exceed memory.

Each side is inserted as it arrives, with one digest per text. DuckDB joins the two sides, on disk if they do not fit in
memory. Digests are computed here from the data read; none is read from a store.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import md5

import duckdb
import pyarrow as pa

from pipeline.stores.read_model import ModelKind
from pipeline.verify.comparison_set import ComparisonSet
from pipeline.verify.source.reader import SourceRow

MEMORY_LIMIT = "256MB"
PAGE_KEYS = 1_000
HELD_ROWS = 50_000
HELD_BYTES = 16 * 2**20
"""Buffer limits: a side is flushed once it holds `HELD_ROWS` rows or `HELD_BYTES` bytes."""


class _Side:
    """One side of the comparison. Pages are buffered and inserted together because each insert has a fixed cost."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, table: str) -> None:
        self._connection = connection
        self._table = table
        self._held: list[pa.Table] = []
        self._subject: ComparisonSet | None = None

    def take_in(self, subject: ComparisonSet, page: pa.Table) -> None:
        """Add a page of key and of text or its digest."""
        if subject is not self._subject:
            self.flush()
            self._subject = subject
        self._held.append(page)
        if sum(one.num_rows for one in self._held) >= HELD_ROWS or sum(one.nbytes for one in self._held) >= HELD_BYTES:
            self.flush()

    def flush(self) -> None:
        """Insert the buffered pages."""
        if self._subject is None or not self._held:
            return
        page, self._held = pa.concat_tables(self._held), []
        digest = "digest" if "digest" in page.column_names else "md5(text)"
        with _given(self._connection, page):
            self._connection.execute(
                f"INSERT INTO {self._table} SELECT $1, key, {digest}::UUID FROM page",  # noqa: S608 - our own names
                [self._subject.label],
            )


class ComparisonStore:
    """Store of both sides of every comparison set, and of the suspect keys between them."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        # DuckDB would draw the progress bar on standard output.
        connection.execute("SET enable_progress_bar = false")
        connection.execute("CREATE TABLE expected (subject VARCHAR, key VARCHAR, digest UUID)")
        connection.execute("CREATE TABLE shown (subject VARCHAR, key VARCHAR, digest UUID)")
        connection.execute("CREATE TABLE disputed (subject VARCHAR, key VARCHAR)")
        connection.execute("CREATE TABLE mended (subject VARCHAR, key VARCHAR)")
        connection.execute("CREATE TABLE noted (subject VARCHAR, key VARCHAR, version VARCHAR, digest VARCHAR)")
        # Another thread inserts PostgreSQL's side, so it needs a cursor of its own.
        self._expected = _Side(connection.cursor(), "expected")
        self._shown = _Side(connection, "shown")

    def add_expected(self, subject: ComparisonSet, page: pa.Table) -> None:
        """Add a page of PostgreSQL's side. May be called from a different thread than the other methods."""
        self._expected.take_in(subject, page)

    def expected_all(self) -> None:
        """Flush PostgreSQL's side after the last page of a set. Call it from the thread that added the pages."""
        self._expected.flush()

    def add_actual(self, subject: ComparisonSet, page: pa.Table) -> None:
        """Add a page of the store's side."""
        self._shown.take_in(subject, page)

    def compare(self, subject: ComparisonSet) -> None:
        """Mark keys as suspect if their texts differ or one side lacks them, and delete the store's side."""
        self._shown.flush()
        # A scan may return a document twice, but it returns a table row once per copy.
        most = 1 if subject.form is ModelKind.ROW else None
        self._connection.execute(
            """
            INSERT INTO disputed
            SELECT DISTINCT $1, key
            FROM (SELECT key, digest FROM expected WHERE subject = $1) AS expected
            FULL JOIN (SELECT key, digest FROM shown WHERE subject = $1) AS shown USING (key)
            WHERE expected.digest IS DISTINCT FROM shown.digest
            UNION SELECT $1, key FROM shown WHERE subject = $1 GROUP BY key HAVING count(*) > $2
            """,
            [subject.label, most],
        )
        self._connection.execute("DELETE FROM shown WHERE subject = $1", [subject.label])

    def add_suspects(self, subject: ComparisonSet, keys: Iterable[str]) -> None:
        """Mark these keys as suspect."""
        self._insert_keys("disputed", subject, keys)

    def recheck_later(self, subject: ComparisonSet, keys: Iterable[str]) -> None:
        """Record keys that are to be rechecked after the repair."""
        self._insert_keys("mended", subject, keys)

    def dispute_mended(self) -> None:
        """Mark the keys as suspect that `recheck_later` recorded."""
        self._connection.execute("INSERT INTO disputed FROM mended; DELETE FROM mended")

    def suspects(self, subject: ComparisonSet) -> Iterator[list[str]]:
        """Yield the suspect keys in pages. Keys of a page may be cleared before the next page is read."""
        after: str | None = None
        while keys := self._disputed_after(subject, after):
            yield keys
            after = keys[-1]

    def _disputed_after(self, subject: ComparisonSet, after: str | None) -> list[str]:
        found = self._connection.execute(
            "SELECT key FROM disputed WHERE subject = $1 AND ($2 IS NULL OR key > $2) ORDER BY key LIMIT $3",
            [subject.label, after, PAGE_KEYS],
        )
        return [key for (key,) in found.fetchall()]

    def clear(self, subject: ComparisonSet, keys: Sequence[str]) -> None:
        """Remove keys from the suspects."""
        self._connection.execute(
            "DELETE FROM disputed WHERE subject = $1 AND key IN (SELECT unnest($2::VARCHAR[]))",
            [subject.label, list(keys)],
        )

    def count_suspects(self) -> int:
        """Return the number of suspect keys of all sets."""
        [(count,)] = self._connection.execute("SELECT count(*) FROM disputed").fetchall()
        return int(count)

    def save_versions(self, subject: ComparisonSet, found: Mapping[str, SourceRow]) -> None:
        """Record the rows that PostgreSQL held at the start of a recheck."""
        page = pa.table(
            {
                "key": pa.array(found, pa.string()),
                "version": pa.array([one.version for one in found.values()], pa.string()),
                "digest": pa.array([digest(one.text) for one in found.values()], pa.string()),
            }
        )
        with _given(self._connection, page):
            self._connection.execute("INSERT INTO noted SELECT $1, key, version, digest FROM page", [subject.label])

    def versions(self, subject: ComparisonSet, keys: Sequence[str]) -> dict[str, tuple[str, str]]:
        """Return version and digest recorded under these keys, without keys that PostgreSQL did not hold."""
        found = self._connection.execute(
            "SELECT key, version, digest FROM noted WHERE subject = $1 AND key IN (SELECT unnest($2::VARCHAR[]))",
            [subject.label, list(keys)],
        )
        return {key: (version, made) for key, version, made in found.fetchall()}

    def forget_versions(self) -> None:
        """Delete the recorded versions before another recheck."""
        self._connection.execute("DELETE FROM noted")

    def _insert_keys(self, table: str, subject: ComparisonSet, keys: Iterable[str]) -> None:
        page = pa.table({"key": pa.array(dict.fromkeys(keys), pa.string())})
        with _given(self._connection, page):
            self._connection.execute(
                f"INSERT INTO {table} SELECT $1, key FROM page",  # noqa: S608 - one of two names
                [subject.label],
            )


@contextmanager
def _given(connection: duckdb.DuckDBPyConnection, page: pa.Table) -> Iterator[None]:
    connection.register("page", page)
    try:
        yield
    finally:
        connection.unregister("page")


def digest(text: str) -> str:
    """Return the md5 digest of a text."""
    return md5(text.encode(), usedforsecurity=False).hexdigest()


@contextmanager
def comparison_store() -> Iterator[ComparisonStore]:
    """Open an empty store. Data that does not fit in memory is written to a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="readmodels-verify-") as folder:
        config: Mapping[str, str | bool] = {
            "memory_limit": MEMORY_LIMIT,
            "temp_directory": folder,
            "preserve_insertion_order": False,
        }
        with duckdb.connect(config=dict(config)) as connection:
            yield ComparisonStore(connection)
