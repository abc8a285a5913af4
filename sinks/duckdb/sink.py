"""One generation of the DuckDB model. Rows, their history and the progress change in one transaction."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Collection, Iterator, Sequence
from typing import Protocol

import duckdb
import numpy as np
import pyarrow as pa

from sinks.batch import PLACE, Batch, Mutations, Progress
from sinks.duckdb.errors import translated
from sinks.duckdb.high_water import HighWaters, Newness
from sinks.duckdb.history import CREATE_FENCES, keep_fences
from sinks.duckdb.metadata import CREATE_BOOKS, Books, read_books, write_books
from sinks.duckdb.special_values import with_special
from sinks.duckdb.tables import CREATE_SCHEMAS, VERSION, TableStatements
from sinks.ordering.fold import fold, settle
from sinks.ordering.range_tombstone import Fences
from sinks.ordering.register import Change
from sinks.shape import RowShape

KEYS_PER_FENCE_STEP = 200_000


class Files(Protocol):
    """The files of all generations, in the one process that holds them."""

    def attach(self, generation: int) -> None:
        """Hold a generation's file, which is created where it is missing."""

    def connection(self, generation: int) -> duckdb.DuckDBPyConnection:
        """A connection of its own to one generation."""

    def writing(self, generation: int) -> threading.Lock:
        """The lock of whoever writes a generation."""

    def prepared(self, generation: int) -> None:
        """All tables of a generation are there."""

    def show(self, generation: int) -> None:
        """Make a generation live."""


class DuckdbSink:
    """A file of tables; see `sinks.duckdb.tables` for what is in it."""

    def __init__(self, store: Files, generation: int, shapes: Sequence[RowShape]) -> None:
        self._store = store
        self._generation = generation
        self._statements = {shape.table: TableStatements(shape) for shape in shapes}

    def prepare(self) -> None:
        self._store.attach(self._generation)
        with self._store.writing(self._generation), self._transaction() as connection:
            connection.execute(CREATE_BOOKS + CREATE_FENCES + CREATE_SCHEMAS)
            for statements in self._statements.values():
                connection.execute(statements.create())
        self._store.prepared(self._generation)

    def progress(self) -> Progress:
        with self._transaction() as connection:
            return read_books(connection).progress

    def write(self, batch: Batch) -> None:
        with self._store.writing(self._generation), self._transaction() as connection:
            books = read_books(connection)
            books.progress.require(batch.span)
            fences = books.fences.joined(batch.fences)
            keep_fences(connection, batch.fences)
            self._join_fences(connection, fences, {fence.scope for fence in batch.fences})
            high_waters = dict(books.high_waters)
            for mutations in batch.mutations:
                application = _Application(connection, self._statements[mutations.target], fences)
                known = high_waters.get(mutations.target, HighWaters())
                high_waters[mutations.target] = application.apply(mutations, known)
            write_books(connection, Books(books.progress.moved_to(batch.span.end), fences, high_waters))

    def cutover(self) -> None:
        self._store.show(self._generation)

    def _join_fences(self, connection: duckdb.DuckDBPyConnection, fences: Fences, tables: Collection[str]) -> None:
        """Join fences into the registers that these tables have already."""
        for table in tables:
            statements = self._statements[table]
            keys = connection.execute(statements.keys()).to_arrow_table()
            for begin in range(0, keys.num_rows, KEYS_PER_FENCE_STEP):
                _Application(connection, statements, fences).join(keys.slice(begin, KEYS_PER_FENCE_STEP), incoming=None)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[duckdb.DuckDBPyConnection]:
        with translated(f"generation {self._generation}"), self._store.connection(self._generation) as connection:
            connection.execute("BEGIN")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                # A failed COMMIT has ended the transaction already; after a fatal error or a close there is none.
                with contextlib.suppress(
                    duckdb.TransactionException, duckdb.FatalException, duckdb.ConnectionException
                ):
                    connection.execute("ROLLBACK")
                raise


class _Application:
    """The changes of one table, joined into it within a transaction."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, statements: TableStatements, fences: Fences) -> None:
        self._connection = connection
        self._statements = statements
        self._fences = fences
        self._shape = statements.shape

    def apply(self, mutations: Mutations, known: HighWaters) -> HighWaters:
        """Join changes, keep the versions that are new, and return the raised high waters."""
        changes = with_special(mutations.changes, self._shape.columns, self._shape.key)
        versions = fold(changes, [*self._shape.key, *VERSION])
        folded = fold(versions, self._shape.key)
        if self._are_new(versions, known):
            rows = folded.append_column("_shown", pa.array(np.ones(folded.num_rows, dtype=bool)))
            self._incoming(rows)
            self._connection.execute(self._statements.delete_incoming_keys())
            self._connection.execute(self._statements.insert_registers(rows.column_names))
            if versions.num_rows > folded.num_rows:
                self._incoming(versions)
            self._connection.execute(self._statements.append_versions())
        else:
            self.join(folded.select([*self._shape.key, "_partition"]), incoming=folded)
            self._keep_unknown(versions)
        return known.raised_by(versions)

    def _are_new(self, versions: pa.Table, known: HighWaters) -> bool:
        """Whether versions beat whatever their registers hold, and none of them is kept yet."""
        newness = known.prove(versions, self._fences, self._shape.table)
        if newness is not Newness.IN_PARTITION:
            return newness is Newness.IN_TABLE
        self._incoming(versions)
        return not self._connection.execute(self._statements.any_incoming_key_was_elsewhere()).fetchall()

    def join(self, keys: pa.Table, incoming: pa.Table | None) -> None:
        """Join incoming changes, the table's fences and what the table holds of these keys."""
        self._incoming(keys)
        held = self._connection.execute(self._statements.places_of_incoming_keys()).to_arrow_table()
        new = _concatenated([incoming, *self._fence_changes(keys)])
        if "_special" not in new.column_names:
            new = new.append_column("_special", pa.nulls(new.num_rows, pa.string()))
        new = new.append_column("_row", pa.array(np.arange(new.num_rows)))
        # Keys come back in DuckDB's types, and are compared in those in which they came.
        held = _with_types_of(keys, held)
        candidates = _concatenated([held, new.select([*PLACE.names, *self._shape.key, "_row"])])
        kept = settle(fold(candidates, self._shape.key), self._shape.key)
        self._drop_beaten(held, kept)
        arrived = kept.filter(kept["_row"].is_valid())
        if arrived.num_rows:
            self._insert(new.take(arrived["_row"]).append_column("_shown", arrived["_shown"]))

    def _keep_unknown(self, versions: pa.Table) -> None:
        """Keep the versions that are not kept yet, and of those that are, the place of the first emission."""
        numbered = versions.append_column("_row", pa.array(np.arange(versions.num_rows)))
        self._incoming(numbered)
        known = self._connection.execute(self._statements.known_versions()).to_arrow_table()
        earlier = known.filter(known["_is_earlier"])
        if earlier.num_rows:
            self._incoming(earlier)
            self._connection.execute(self._statements.correct_places())
        unknown = np.setdiff1d(numbered["_row"].to_numpy(), known["_row"].to_numpy())
        if len(unknown):
            self._incoming(versions.take(pa.array(unknown)))
            self._connection.execute(self._statements.append_versions())

    def _drop_beaten(self, held: pa.Table, kept: pa.Table) -> None:
        """Remove held registers that lost, and correct which of the others are shown."""
        stays = kept.filter(kept["_held"].is_valid())
        beaten = np.setdiff1d(held["_held"].to_numpy(), stays["_held"].to_numpy())
        changed = stays.filter(pa.array(stays["_shown"].to_numpy() != stays["_was_shown"].to_numpy()))
        for rows, statement in (
            (beaten, f"DELETE FROM {self._statements.registers} WHERE rowid IN (SELECT held FROM incoming)"),
            (
                changed["_held"].to_numpy(),
                f"UPDATE {self._statements.registers} SET _shown = NOT _shown "
                "WHERE rowid IN (SELECT held FROM incoming)",
            ),
        ):
            if len(rows):
                self._incoming(pa.table({"held": rows}))
                self._connection.execute(statement)

    def _fence_changes(self, keys: pa.Table) -> Iterator[pa.Table]:
        """The table's fences as changes of every one of these keys."""
        unique = keys.group_by([*self._shape.key, "_partition"]).aggregate([])
        partitions = np.unique(unique["_partition"].to_numpy()).tolist()
        for partition in partitions if self._fences else ():
            mine = unique.filter(pa.compute.equal(unique["_partition"], partition)).drop_columns(["_partition"])
            register = self._fences.of(self._shape.table, partition)
            for change in (register.streamed, register.snapshot):
                if change is not None:
                    yield _repeated(change, change is register.snapshot, mine)

    def _insert(self, rows: pa.Table) -> None:
        self._incoming(rows)
        self._connection.execute(self._statements.insert_registers(rows.column_names))

    def _incoming(self, rows: pa.Table) -> None:
        self._connection.register("incoming", rows)


def _repeated(change: Change, is_snapshot: bool, keys: pa.Table) -> pa.Table:
    """One change, for every one of these keys."""
    values = (
        change.epoch,
        is_snapshot,
        change.commit_lsn,
        change.lsn,
        change.tie,
        change.offset,
        change.partition,
        change.deleted,
    )
    columns = {
        field.name: pa.repeat(pa.scalar(value, field.type), keys.num_rows)
        for field, value in zip(PLACE, values, strict=True)
    }
    return pa.table({**columns, **{name: keys[name] for name in keys.column_names}})


def _with_types_of(keys: pa.Table, held: pa.Table) -> pa.Table:
    """The held rows, with their key columns cast to the types of `keys`."""
    for name in set(keys.column_names) - set(PLACE.names):
        held = held.set_column(held.column_names.index(name), name, held[name].cast(keys[name].type))
    return held


def _concatenated(tables: Sequence[pa.Table | None]) -> pa.Table:
    return pa.concat_tables([table for table in tables if table is not None], promote_options="default")
