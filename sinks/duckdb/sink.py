"""Sink of one DuckDB generation. Rows, their history and the progress change in one transaction."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Collection, Iterator, Sequence
from typing import Protocol

import duckdb
import numpy as np
import pyarrow as pa

from sinks.batch import Batch, Mutations, Progress
from sinks.duckdb.errors import translate_errors
from sinks.duckdb.high_water import HighWaterMarks, WriteMode
from sinks.duckdb.history import CREATE_RANGE_TOMBSTONES, insert_range_tombstones
from sinks.duckdb.metadata import CREATE_METADATA, SinkMetadata, read_metadata, write_metadata
from sinks.duckdb.special_values import with_special
from sinks.duckdb.tables import CREATE_SCHEMAS, TableStatements
from sinks.ordering.columns import ORDER_COLUMNS, VERSION_COLUMNS, repeat_change
from sinks.ordering.fold import compact, resolve
from sinks.ordering.range_tombstone import RangeTombstones
from sinks.shape import RowShape

KEYS_PER_TOMBSTONE_STEP = 200_000


class GenerationFiles(Protocol):
    """Files of all generations, in the one process that has them open."""

    def attach(self, generation: int) -> None:
        """Attach a generation's file, which is created if it is missing."""

    def connection(self, generation: int) -> duckdb.DuckDBPyConnection:
        """Return a new connection to one generation."""

    def write_lock(self, generation: int) -> threading.Lock:
        """Return the lock for writes to a generation."""

    def refresh_if_live(self, generation: int) -> None:
        """Show readers all tables of a generation if it is live."""

    def set_live(self, generation: int) -> None:
        """Make a generation live."""


class DuckdbSink:
    """Sink of one generation's file; `sinks.duckdb.tables` describes the tables."""

    def __init__(self, store: GenerationFiles, generation: int, shapes: Sequence[RowShape]) -> None:
        self._store = store
        self._generation = generation
        self._statements = {shape.table: TableStatements(shape) for shape in shapes}

    def prepare(self) -> None:
        self._store.attach(self._generation)
        with self._store.write_lock(self._generation), self._transaction() as connection:
            connection.execute(CREATE_METADATA + CREATE_RANGE_TOMBSTONES + CREATE_SCHEMAS)
            for statements in self._statements.values():
                connection.execute(statements.create())
        self._store.refresh_if_live(self._generation)

    def progress(self) -> Progress:
        with self._transaction() as connection:
            return read_metadata(connection).progress

    def write(self, batch: Batch) -> None:
        with self._store.write_lock(self._generation), self._transaction() as connection:
            books = read_metadata(connection)
            books.progress.require_contiguous(batch.span)
            range_tombstones = books.fences.merge(batch.range_tombstones)
            insert_range_tombstones(connection, batch.range_tombstones)
            self._apply_tombstones(
                connection, range_tombstones, {range_tombstone.scope for range_tombstone in batch.range_tombstones}
            )
            high_waters = dict(books.high_waters)
            for mutations in batch.mutations:
                application = _TableMerge(connection, self._statements[mutations.target], range_tombstones)
                known = high_waters.get(mutations.target, HighWaterMarks())
                high_waters[mutations.target] = application.apply(mutations, known)
            write_metadata(
                connection, SinkMetadata(books.progress.advance(batch.span.end), range_tombstones, high_waters)
            )

    def cutover(self) -> None:
        self._store.set_live(self._generation)

    def _apply_tombstones(
        self, connection: duckdb.DuckDBPyConnection, range_tombstones: RangeTombstones, tables: Collection[str]
    ) -> None:
        """Merge range tombstones into the existing registers of these tables."""
        for table in tables:
            statements = self._statements[table]
            keys = connection.execute(statements.keys()).to_arrow_table()
            for begin in range(0, keys.num_rows, KEYS_PER_TOMBSTONE_STEP):
                _TableMerge(connection, statements, range_tombstones).join(
                    keys.slice(begin, KEYS_PER_TOMBSTONE_STEP), incoming=None
                )

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[duckdb.DuckDBPyConnection]:
        with translate_errors(f"generation {self._generation}"), self._store.connection(self._generation) as connection:
            connection.execute("BEGIN")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                # A failed COMMIT has already ended the transaction. After a fatal error or a close there is none.
                with contextlib.suppress(
                    duckdb.TransactionException, duckdb.FatalException, duckdb.ConnectionException
                ):
                    connection.execute("ROLLBACK")
                raise


class _TableMerge:
    """Merge of changes into one table, within a transaction."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, statements: TableStatements, range_tombstones: RangeTombstones
    ) -> None:
        self._connection = connection
        self._statements = statements
        self._range_tombstones = range_tombstones
        self._shape = statements.shape

    def apply(self, mutations: Mutations, known: HighWaterMarks) -> HighWaterMarks:
        """Merge changes, store the new versions, and return the raised high-water marks."""
        changes = with_special(mutations.changes, self._shape.columns, self._shape.key)
        versions = compact(changes, [*self._shape.key, *VERSION_COLUMNS])
        folded = compact(versions, self._shape.key)
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
            self._append_new_versions(versions)
        return known.advance(versions)

    def _are_new(self, versions: pa.Table, known: HighWaterMarks) -> bool:
        """Return whether the versions win against all their registers, and none of them is stored yet."""
        newness = known.classify(versions, self._range_tombstones, self._shape.table)
        if newness is not WriteMode.APPEND_IF_KEYS_STAYED:
            return newness is WriteMode.APPEND
        self._incoming(versions)
        return not self._connection.execute(self._statements.select_moved_keys()).fetchall()

    def join(self, keys: pa.Table, incoming: pa.Table | None) -> None:
        """Merge the incoming changes, the table's range tombstones and the stored registers of these keys."""
        self._incoming(keys)
        held = self._connection.execute(self._statements.select_registers()).to_arrow_table()
        new = _concatenated([incoming, *self._tombstone_changes(keys)])
        if "_special" not in new.column_names:
            new = new.append_column("_special", pa.nulls(new.num_rows, pa.string()))
        new = new.append_column("_row", pa.array(np.arange(new.num_rows)))
        # DuckDB returns keys in its own types. The comparison needs the types of the incoming keys.
        held = _with_types_of(keys, held)
        candidates = _concatenated([held, new.select([*ORDER_COLUMNS.names, *self._shape.key, "_row"])])
        kept = resolve(compact(candidates, self._shape.key), self._shape.key)
        self._delete_superseded(held, kept)
        arrived = kept.filter(kept["_row"].is_valid())
        if arrived.num_rows:
            self._insert(new.take(arrived["_row"]).append_column("_shown", arrived["_shown"]))

    def _append_new_versions(self, versions: pa.Table) -> None:
        """Store the versions that are new. For known versions, keep the position of the first emission."""
        numbered = versions.append_column("_row", pa.array(np.arange(versions.num_rows)))
        self._incoming(numbered)
        known = self._connection.execute(self._statements.known_versions()).to_arrow_table()
        earlier = known.filter(known["_is_earlier"])
        if earlier.num_rows:
            self._incoming(earlier)
            self._connection.execute(self._statements.update_first_emission())
        unknown = np.setdiff1d(numbered["_row"].to_numpy(), known["_row"].to_numpy())
        if len(unknown):
            self._incoming(versions.take(pa.array(unknown)))
            self._connection.execute(self._statements.append_versions())

    def _delete_superseded(self, held: pa.Table, kept: pa.Table) -> None:
        """Delete stored registers that lost, and update the `_shown` flag of the others."""
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

    def _tombstone_changes(self, keys: pa.Table) -> Iterator[pa.Table]:
        """Yield the table's range tombstones as changes of each of these keys."""
        unique = keys.group_by([*self._shape.key, "_partition"]).aggregate([])
        partitions = np.unique(unique["_partition"].to_numpy()).tolist()
        for partition in partitions if self._range_tombstones else ():
            mine = unique.filter(pa.compute.equal(unique["_partition"], partition)).drop_columns(["_partition"])
            register = self._range_tombstones.for_row(self._shape.table, partition)
            for change in (register.streamed, register.snapshot):
                if change is not None:
                    order = repeat_change(change, mine.num_rows, is_snapshot=change is register.snapshot)
                    yield pa.table({**order, **{name: mine[name] for name in mine.column_names}})

    def _insert(self, rows: pa.Table) -> None:
        self._incoming(rows)
        self._connection.execute(self._statements.insert_registers(rows.column_names))

    def _incoming(self, rows: pa.Table) -> None:
        self._connection.register("incoming", rows)


def _with_types_of(keys: pa.Table, held: pa.Table) -> pa.Table:
    """Return the stored rows with their key columns cast to the types of `keys`."""
    for name in set(keys.column_names) - set(ORDER_COLUMNS.names):
        held = held.set_column(held.column_names.index(name), name, held[name].cast(keys[name].type))
    return held


def _concatenated(tables: Sequence[pa.Table | None]) -> pa.Table:
    return pa.concat_tables([table for table in tables if table is not None], promote_options="default")
