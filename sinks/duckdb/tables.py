"""The tables of one generation's file, and the statements that change them.

`registers.<table>` holds one row per register and side, nearly always one per key, also for keys that are dead;
`versions.<table>` holds every change that the log told, once. Of readers are the views `<table>`, the rows, and
`<table>_history`, what became of each (`sinks.duckdb.history`).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sinks.duckdb.history import history_view
from sinks.duckdb.sql_text import identifier_list, quote_identifier
from sinks.duckdb.types import cast_expression, duckdb_type
from sinks.ordering.register import NO_PARTITION
from sinks.shape import RowShape

ORDER_COLUMN_NAMES = """
    _epoch INTEGER NOT NULL, _is_snapshot BOOLEAN NOT NULL, _commit_lsn BIGINT NOT NULL, _lsn BIGINT NOT NULL,
    _tie TINYINT NOT NULL, _offset BIGINT NOT NULL, _partition INTEGER NOT NULL, _deleted BOOLEAN NOT NULL"""
ORDER_COLUMNS_SQL = "_epoch, _is_snapshot, _commit_lsn, _lsn, _tie, _offset, _partition, _deleted"
VERSION = ("_epoch", "_commit_lsn", "_lsn", "_tie")
"""What tells the versions of one side of a row apart; a version that was emitted twice has two offsets."""

CREATE_SCHEMAS = "CREATE SCHEMA IF NOT EXISTS registers; CREATE SCHEMA IF NOT EXISTS versions;"


@dataclass(frozen=True)
class TableStatements:
    """The SQL of one row shape; incoming rows are in the view `incoming`, with their index in `_row`."""

    shape: RowShape

    @property
    def registers(self) -> str:
        """The table of registers."""
        return f"registers.{quote_identifier(self.shape.table)}"

    @property
    def versions(self) -> str:
        """The table of versions, to which rows are only ever added."""
        return f"versions.{quote_identifier(self.shape.table)}"

    def create(self) -> str:
        """Create tables and views where they are missing."""
        columns = ", ".join(
            f"{quote_identifier(name)} {duckdb_type(text)}" for name, text in self.shape.columns.items()
        )
        return f"""
            CREATE TABLE IF NOT EXISTS {self.registers} (
                {columns}, _special JSON, _shown BOOLEAN NOT NULL, {ORDER_COLUMN_NAMES});
            CREATE TABLE IF NOT EXISTS {self.versions} (
                {columns}, _special JSON, _op VARCHAR, _committed_at TIMESTAMPTZ, {ORDER_COLUMN_NAMES});
            CREATE OR REPLACE VIEW {quote_identifier(self.shape.table)} AS
                SELECT {identifier_list(list(self.shape.columns))} FROM {self.registers} WHERE _shown AND NOT _deleted;
            {history_view(self.shape)}
        """

    def delete_incoming_keys(self) -> str:
        """Remove the registers of all incoming keys."""
        return f"DELETE FROM {self.registers} WHERE ({identifier_list(self.shape.key)}) IN ({self._incoming_keys()})"

    def select_moved_keys(self) -> str:
        """One row where a register lies in another partition than a change of its key; a repair lies in none."""
        key = ", ".join(self._stored(name) for name in self.shape.key)
        return f"""
            SELECT 1 FROM {self.registers} AS held
            JOIN (SELECT DISTINCT {key}, _partition AS _comes_from FROM incoming)
            USING ({identifier_list(self.shape.key)})
            WHERE held._partition NOT IN (_comes_from, {NO_PARTITION}) LIMIT 1
        """

    def select_registers(self) -> str:
        """The registers that incoming keys have already, without their images."""
        key = identifier_list(self.shape.key)
        return f"""
            SELECT {ORDER_COLUMNS_SQL}, {key}, rowid AS _held, _shown AS _was_shown
            FROM {self.registers} SEMI JOIN ({self._incoming_keys()}) USING ({key})
        """

    def insert_registers(self, present: Collection[str]) -> str:
        """Store incoming rows as registers; columns that are not present are NULL, as in what a fence deletes."""
        columns = self._incoming(present)
        return f"INSERT INTO {self.registers} BY NAME SELECT {columns}, _shown, {ORDER_COLUMNS_SQL} FROM incoming"

    def append_versions(self) -> str:
        """Keep every incoming version."""
        versions = f"{self._incoming(self.shape.columns)}, _op, _committed_at, {ORDER_COLUMNS_SQL}"
        return f"INSERT INTO {self.versions} BY NAME SELECT {versions} FROM incoming"

    def known_versions(self) -> str:
        """The incoming versions that are kept already, and whether this is an earlier emission of one."""
        version = identifier_list([*self.shape.key, "_is_snapshot", *VERSION])
        key = ", ".join(self._stored(name) for name in self.shape.key)
        return f"""
            SELECT _row, coming._offset, coming._partition, held.rowid AS _held,
                coming._offset < held._offset AS _is_earlier
            FROM (SELECT {key}, _is_snapshot, {", ".join(VERSION)}, _offset, _partition, _row FROM incoming) AS coming
            JOIN {self.versions} AS held USING ({version})
        """

    def update_first_emission(self) -> str:
        """Place known versions at the earlier emission that came in."""
        return f"""
            UPDATE {self.versions} SET _offset = incoming._offset, _partition = incoming._partition
            FROM incoming WHERE {self.versions}.rowid = _held
        """

    def keys(self) -> str:
        """The key and partition of every register."""
        return f"SELECT DISTINCT {identifier_list(self.shape.key)}, _partition FROM {self.registers}"

    def _incoming_keys(self) -> str:
        columns = ", ".join(self._stored(name) for name in self.shape.key)
        return f"SELECT DISTINCT {columns} FROM incoming"

    def _incoming(self, present: Collection[str]) -> str:
        return ", ".join([*(self._stored(name) for name in self.shape.columns if name in present), "_special"])

    def _stored(self, name: str) -> str:
        return f"{cast_expression(quote_identifier(name), self.shape.columns[name])} AS {quote_identifier(name)}"
