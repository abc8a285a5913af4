"""The tables of one generation's file, and the statements that change them.

`registers.<table>` holds one row per register and side, nearly always one per key, also for keys that are dead;
`<table>` is the view of what readers see; `<table>_history` holds every version that was ever admitted.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sinks.duckdb_types import duckdb_type, stored
from sinks.shape import RowShape

PLACE_COLUMNS = """
    _epoch INTEGER NOT NULL, _is_snapshot BOOLEAN NOT NULL, _commit_lsn BIGINT NOT NULL, _lsn BIGINT NOT NULL,
    _tie TINYINT NOT NULL, _offset BIGINT NOT NULL, _partition INTEGER NOT NULL, _deleted BOOLEAN NOT NULL"""
PLACE = "_epoch, _is_snapshot, _commit_lsn, _lsn, _tie, _offset, _partition, _deleted"
VERSION = ("_epoch", "_commit_lsn", "_lsn", "_tie")
"""What tells the versions of one side of a row apart; a version that was emitted twice has two offsets."""

CREATE_SCHEMAS = "CREATE SCHEMA IF NOT EXISTS registers;"


def quote(name: str) -> str:
    """An identifier; names of tables and columns are data."""
    return '"' + name.replace('"', '""') + '"'


def listed(names: Sequence[str]) -> str:
    """Identifiers, separated by commas."""
    return ", ".join(quote(name) for name in names)


@dataclass(frozen=True)
class TableStatements:
    """The SQL of one row shape; incoming rows are in the view `incoming`, with their index in `_row`."""

    shape: RowShape

    @property
    def registers(self) -> str:
        """The table of registers."""
        return f"registers.{quote(self.shape.table)}"

    @property
    def history(self) -> str:
        """The table of admitted versions."""
        return quote(f"{self.shape.table}_history")

    def create(self) -> str:
        """Create tables and view where they are missing."""
        columns = ", ".join(f"{quote(name)} {duckdb_type(text)}" for name, text in self.shape.columns.items())
        return f"""
            CREATE TABLE IF NOT EXISTS {self.registers} (
                {columns}, _special JSON, _shown BOOLEAN NOT NULL, {PLACE_COLUMNS});
            CREATE TABLE IF NOT EXISTS {self.history} (
                {columns}, _special JSON, _op VARCHAR, _committed_at TIMESTAMPTZ, {PLACE_COLUMNS});
            CREATE OR REPLACE VIEW {quote(self.shape.table)} AS
                SELECT {listed(list(self.shape.columns))} FROM {self.registers} WHERE _shown AND NOT _deleted;
        """

    def delete_incoming_keys(self) -> str:
        """Remove the registers of all incoming keys."""
        return f"DELETE FROM {self.registers} WHERE ({listed(self.shape.key)}) IN ({self._incoming_keys()})"

    def places_of_incoming_keys(self) -> str:
        """The registers that incoming keys have already, without their images."""
        key = listed(self.shape.key)
        return f"""
            SELECT {PLACE}, {key}, rowid AS _held, _shown AS _was_shown
            FROM {self.registers} SEMI JOIN ({self._incoming_keys()}) USING ({key})
        """

    def insert_registers(self, present: Collection[str]) -> str:
        """Store incoming rows as registers; columns that are not present are NULL, as in what a fence deletes."""
        columns = self._incoming(present)
        return f"INSERT INTO {self.registers} BY NAME SELECT {columns}, _shown, {PLACE} FROM incoming"

    def append_history(self) -> str:
        """Keep every incoming version."""
        return f"INSERT INTO {self.history} BY NAME {self._versions()}"

    def append_unknown_history(self) -> str:
        """Keep every incoming version that is not kept yet."""
        version = listed([*self.shape.key, "_is_snapshot", *VERSION])
        return (
            f"INSERT INTO {self.history} BY NAME FROM ({self._versions()}) ANTI JOIN {self.history} USING ({version})"
        )

    def keys(self) -> str:
        """The key and partition of every register."""
        return f"SELECT DISTINCT {listed(self.shape.key)}, _partition FROM {self.registers}"

    def _incoming_keys(self) -> str:
        columns = ", ".join(self._stored(name) for name in self.shape.key)
        return f"SELECT DISTINCT {columns} FROM incoming"

    def _versions(self) -> str:
        return f"SELECT {self._incoming(self.shape.columns)}, _op, _committed_at, {PLACE} FROM incoming"

    def _incoming(self, present: Collection[str]) -> str:
        return ", ".join([*(self._stored(name) for name in self.shape.columns if name in present), "_special"])

    def _stored(self, name: str) -> str:
        return f"{stored(quote(name), self.shape.columns[name])} AS {quote(name)}"
