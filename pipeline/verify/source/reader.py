"""Reader of PostgreSQL's side of the comparison."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

import psycopg
import pyarrow as pa
from psycopg import sql
from pyarrow import csv

from pipeline.ingest.key_text import UnfitKey
from pipeline.postgres.database import Connection, SourceError, connect
from pipeline.verify.comparison_set import ComparisonSet
from pipeline.verify.source.query import SourceQuery
from pipeline.verify.source.row_images import images

PAGE_ROWS = 50_000
_PAGE = pa.schema([("key", pa.string()), ("digest", pa.string()), ("rows", pa.int64())])
_READ = csv.ReadOptions(column_names=_PAGE.names, use_threads=False)
_PARSE = csv.ParseOptions(newlines_in_values=True)
_CONVERT = csv.ConvertOptions(
    column_types=_PAGE, null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=False
)
"""Conversion that keeps `""` as an empty key and reads an unquoted empty field as NULL."""


class SourceRow(NamedTuple):
    """Document or row of PostgreSQL under one key.

    Args:
        text: the document or row as JSON.
        version: changes whenever one of its rows is written.
        rows: number of source rows in it.
    """

    key: str
    text: str
    version: str
    rows: int


class RowImages(NamedTuple):
    """Rows of one table, each with the key of the document or row that it belongs to.

    Args:
        rows: a struct array in the type of an envelope's images.
    """

    keys: list[str]
    rows: pa.StructArray


class InvalidSince(ValueError):
    """The value of --since is not a time, or the table has no date or timestamp column."""

    remedy = "Write the time as PostgreSQL does: `2026-01-02T03:04:05Z`. For a table without a time, leave out --since."


@dataclass(frozen=True)
class SourceReader:
    """Read-only access of `verify` to the source.

    Args:
        url: of the source.
        connection: a connection in autocommit mode.
    """

    url: str
    connection: Connection

    def some(self, subject: ComparisonSet, keys: Sequence[str]) -> dict[str, SourceRow]:
        """Return the documents or rows under these keys, all from one snapshot."""
        found = _answered(self.connection, SourceQuery(subject).some(keys)).fetchall()
        return {str(row[0]): SourceRow._make(row) for row in found}

    @contextmanager
    def moment(self) -> Iterator[None]:
        """Run all queries of the block in one repeatable-read snapshot, taken by the first query."""
        with self.connection.transaction():
            _answered(self.connection, sql.SQL("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"))
            yield

    def images(self, subject: ComparisonSet, keys: Sequence[str]) -> tuple[dict[str, SourceRow], dict[str, RowImages]]:
        """Return the documents or rows under these keys, and their source rows by collection in the form of envelopes.

        The root's rows are those of the collection ROOT.
        """
        query = SourceQuery(subject)
        held = self.some(subject, keys)
        rows = {name: _answered(self.connection, query.images(name, keys)).fetchall() for name in subject.views}
        return held, {
            name: RowImages([str(row[0]) for row in rows[name]], images(view.table, [row[1:] for row in rows[name]]))
            for name, view in subject.views.items()
        }

    def is_held(self, subject: ComparisonSet, collection: str, key: str, row_key: Mapping[str, str]) -> bool:
        """Return whether PostgreSQL holds a row, by the equality of its key's column types.

        Args:
            collection: collection of the row, or ROOT.
            key: of the document or row that it belongs to.
            row_key: of a child row, the texts of its own key by column.

        Raises:
            UnfitKey: a text is not a valid value of its column.
        """
        try:
            with self.connection.transaction():
                found = _answered(self.connection, SourceQuery(subject).is_held(collection, key, row_key)).fetchone()
        except psycopg.DataError as error:
            raise UnfitKey(error.diag.message_primary or "not a key of the table") from error
        return found == (True,)

    def any_keys(self, subject: ComparisonSet, count: int) -> list[str]:
        """Return the keys of rows chosen at random."""
        return [str(row[0]) for row in _answered(self.connection, SourceQuery(subject).any_keys(count))]

    def keys_since(self, subject: ComparisonSet, since: str) -> list[str]:
        """Return the keys of documents or rows with any date or timestamp at or after `since`.

        Raises:
            InvalidSince: `since` is not a time, or the set has no date or timestamp column.
        """
        query = SourceQuery(subject).keys_since(since)
        if query is None:
            raise InvalidSince(f"{subject.name} has no column with the time of a row's last change")
        try:
            return [str(row[0]) for row in _answered(self.connection, query) if row[0] is not None]
        except psycopg.DataError as error:
            raise InvalidSince(f"{since!r}: {error.diag.message_primary}") from error


class Snapshot:
    """Snapshot of the source, read in pages."""

    def __init__(self, connection: psycopg.Connection[tuple[object, ...]]) -> None:
        self._connection = connection

    def pages(self, subject: ComparisonSet) -> Iterator[pa.Table]:
        """Yield all documents or rows of one set, as tables of key, digest (md5 of the text) and rows.

        Raises:
            SourceError: PostgreSQL cannot be read.
        """
        try:
            with self._connection.cursor() as cursor, cursor.copy(SourceQuery(subject).all()) as answer:
                lines = map(bytes, answer)
                while page := b"".join(islice(lines, PAGE_ROWS)):
                    yield csv.read_csv(pa.BufferReader(page), _READ, _PARSE, _CONVERT)
        except psycopg.Error as error:
            raise SourceError(f"the source cannot be read: {error.diag.message_primary or error}") from error


@contextmanager
def open_source_reader(url: str) -> Iterator[SourceReader]:
    """Open the source for reading its current rows."""
    with connect(url) as connection:
        yield SourceReader(url, connection)


@contextmanager
def snapshot(url: str) -> Iterator[Snapshot]:
    """Take a snapshot of the source and keep it open for the block."""
    with connect(url) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        with connection.transaction():
            # The first query of the transaction takes the snapshot.
            connection.execute("SELECT 1")
            yield Snapshot(connection)


def _answered(connection: Connection, query: sql.SQL | sql.Composed) -> psycopg.Cursor[tuple[object, ...]]:
    try:
        return connection.execute(query)
    except psycopg.DataError:
        raise
    except psycopg.Error as error:
        raise SourceError(f"the source cannot be read: {error.diag.message_primary or error}") from error
