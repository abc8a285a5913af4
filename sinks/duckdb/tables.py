"""Tables of one generation's file, and the statements that change them.

`registers.<table>` has one row per register and side: nearly always one per key, also for deleted keys.
`versions.<table>` has every change of the log once. Readers use the views `<table>`, which has the rows, and
`<table>_history`, which has their versions (`sinks.duckdb.history`).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import pyarrow as pa

from sinks.duckdb.history import history_view
from sinks.duckdb.sql_text import identifier_list, quote_identifier
from sinks.duckdb.types import cast_expression, duckdb_type
from sinks.ordering.columns import ORDER_COLUMNS, VERSION_COLUMNS
from sinks.ordering.register import NO_PARTITION
from sinks.shape import RowShape

_SQL_TYPES = {pa.int8(): "TINYINT", pa.int32(): "INTEGER", pa.int64(): "BIGINT", pa.bool_(): "BOOLEAN"}
ORDER_COLUMNS_SQL = ", ".join(ORDER_COLUMNS.names)
ORDER_COLUMNS_DDL = ", ".join(f"{field.name} {_SQL_TYPES[field.type]} NOT NULL" for field in ORDER_COLUMNS)

CREATE_SCHEMAS = "CREATE SCHEMA IF NOT EXISTS registers; CREATE SCHEMA IF NOT EXISTS versions;"


@dataclass(frozen=True)
class TableStatements:
    """SQL statements of one row shape. Incoming rows are in the view `incoming`, with their index in `_row`."""

    shape: RowShape

    @property
    def registers(self) -> str:
        """The table of registers."""
        return f"registers.{quote_identifier(self.shape.table)}"

    @property
    def versions(self) -> str:
        """The table of versions, which is append-only."""
        return f"versions.{quote_identifier(self.shape.table)}"

    def create(self) -> str:
        """Return the statements that create missing tables and views."""
        columns = ", ".join(
            f"{quote_identifier(name)} {duckdb_type(text)}" for name, text in self.shape.columns.items()
        )
        return f"""
            CREATE TABLE IF NOT EXISTS {self.registers} (
                {columns}, _special JSON, _shown BOOLEAN NOT NULL, {ORDER_COLUMNS_DDL});
            CREATE TABLE IF NOT EXISTS {self.versions} (
                {columns}, _special JSON, _op VARCHAR, _committed_at TIMESTAMPTZ, {ORDER_COLUMNS_DDL});
            CREATE OR REPLACE VIEW {quote_identifier(self.shape.table)} AS
                SELECT {identifier_list(list(self.shape.columns))} FROM {self.registers} WHERE _shown AND NOT _deleted;
            {history_view(self.shape)}
        """

    def delete_incoming_keys(self) -> str:
        """Return the statement that deletes the registers of all incoming keys."""
        return f"DELETE FROM {self.registers} WHERE ({identifier_list(self.shape.key)}) IN ({self._incoming_keys()})"

    def select_moved_keys(self) -> str:
        """Return the SELECT with a row for any register in another partition than a change of its key.

        A repair has no partition, so its register does not count.
        """
        key = ", ".join(self._stored(name) for name in self.shape.key)
        return f"""
            SELECT 1 FROM {self.registers} AS held
            JOIN (SELECT DISTINCT {key}, _partition AS _comes_from FROM incoming)
            USING ({identifier_list(self.shape.key)})
            WHERE held._partition NOT IN (_comes_from, {NO_PARTITION}) LIMIT 1
        """

    def select_registers(self) -> str:
        """Return the SELECT of the registers of the incoming keys, without their images."""
        key = identifier_list(self.shape.key)
        return f"""
            SELECT {ORDER_COLUMNS_SQL}, {key}, rowid AS _held, _shown AS _was_shown
            FROM {self.registers} SEMI JOIN ({self._incoming_keys()}) USING ({key})
        """

    def insert_registers(self, present: Collection[str]) -> str:
        """Return the statement that inserts incoming rows as registers.

        Columns not in `present` are NULL, as in rows that a range tombstone deletes.
        """
        columns = self._incoming(present)
        return f"INSERT INTO {self.registers} BY NAME SELECT {columns}, _shown, {ORDER_COLUMNS_SQL} FROM incoming"

    def append_versions(self) -> str:
        """Return the statement that stores every incoming version."""
        versions = f"{self._incoming(self.shape.columns)}, _op, _committed_at, {ORDER_COLUMNS_SQL}"
        return f"INSERT INTO {self.versions} BY NAME SELECT {versions} FROM incoming"

    def known_versions(self) -> str:
        """Return the SELECT of the incoming versions that are stored already, with a flag for an earlier emission."""
        version = identifier_list([*self.shape.key, "_is_snapshot", *VERSION_COLUMNS])
        key = ", ".join(self._stored(name) for name in self.shape.key)
        order = ", ".join(VERSION_COLUMNS)
        return f"""
            SELECT _row, coming._offset, coming._partition, held.rowid AS _held,
                coming._offset < held._offset AS _is_earlier
            FROM (SELECT {key}, _is_snapshot, {order}, _offset, _partition, _row FROM incoming) AS coming
            JOIN {self.versions} AS held USING ({version})
        """

    def update_first_emission(self) -> str:
        """Return the statement that moves known versions to the offset of the incoming earlier emission."""
        return f"""
            UPDATE {self.versions} SET _offset = incoming._offset, _partition = incoming._partition
            FROM incoming WHERE {self.versions}.rowid = _held
        """

    def keys(self) -> str:
        """Return the SELECT of the key and partition of every register."""
        return f"SELECT DISTINCT {identifier_list(self.shape.key)}, _partition FROM {self.registers}"

    def _incoming_keys(self) -> str:
        columns = ", ".join(self._stored(name) for name in self.shape.key)
        return f"SELECT DISTINCT {columns} FROM incoming"

    def _incoming(self, present: Collection[str]) -> str:
        return ", ".join([*(self._stored(name) for name in self.shape.columns if name in present), "_special"])

    def _stored(self, name: str) -> str:
        return f"{cast_expression(quote_identifier(name), self.shape.columns[name])} AS {quote_identifier(name)}"
