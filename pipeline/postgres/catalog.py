"""Tables of the source as PostgreSQL's catalog describes them, and the reasons why one cannot be captured."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from psycopg.rows import dict_row

from connectors.capture_list import is_avro_name
from connectors.errors import UnsupportedType
from connectors.sql_names import table_in_sql
from connectors.types.pg_types import parse_column_type
from pipeline.definitions import RESERVED_COLUMNS
from pipeline.postgres.database import Connection, load_sql
from pipeline.postgres.key_columns import unfitness

VIRTUAL, STORED = "v", "s"
STORED_COLUMNS_SINCE = 18
"""Major version of PostgreSQL from which a publication can contain stored generated columns."""

_PATTERN = re.compile(r'(?:(?P<schema>"(?:[^"]|"")+"|[^".]+)\.)?(?P<table>"(?:[^"]|"")+"|.+)')


class InvalidPattern(ValueError):
    """A pattern of table names cannot be read."""

    remedy = "Write `schema.table` or `schema.*`; a name with a dot in it stands in double quotes."


class NoTableMatches(ValueError):
    """No table matches a pattern."""

    remedy = (
        "Correct the pattern: case matters, and without a schema it means `public`. The database is that of "
        "`source.url`."
    )


@dataclass(frozen=True)
class CatalogColumn:
    """Column of a table.

    Args:
        type: its type as PostgreSQL prints it; for a domain, the underlying type.
        declared_type: the type with which it was declared, such as the name of a domain.
        is_own_type: the type is neither built in, nor an enum, nor one of an extension that the connector knows.
        generated: `s` for a stored generated column, `v` for a virtual one, else empty.
        is_deterministic: its collation tells all different texts apart.
    """

    name: str
    type: str
    declared_type: str
    is_enum: bool
    is_own_type: bool
    is_not_null: bool
    generated: str
    is_deterministic: bool

    def obstacle(self, version: int) -> str | None:
        """Return why the values of this column cannot reach every read model; None if they can.

        Args:
            version: the server's major version.
        """
        if self.name.lower() in RESERVED_COLUMNS:
            return "the read models use this name themselves"
        if self.generated == VIRTUAL:
            return "it is a virtual generated column, which PostgreSQL cannot publish"
        if self.generated == STORED and version < STORED_COLUMNS_SINCE:
            return f"PostgreSQL {version} does not publish generated columns"
        if self.is_own_type:
            return f"the connector does not send values of type {self.type}"
        try:
            parse_column_type(self.type)
        except UnsupportedType as error:
            return str(error)
        return None

    @property
    def unfitness(self) -> str | None:
        """Reason why the column cannot be part of a key; None if it can."""
        return unfitness(self.type, is_enum=self.is_enum, is_deterministic=self.is_deterministic)

    @property
    def has_avro_name(self) -> bool:
        """True if the name is allowed in an Avro schema."""
        return is_avro_name(self.name)


@dataclass(frozen=True)
class ForeignKey:
    """Foreign key of a table, and the columns of the other table that it refers to, in the same order."""

    schema: str
    table: str
    columns: tuple[str, ...]
    target_columns: tuple[str, ...]
    is_cascade: bool

    @property
    def target(self) -> str:
        """The other table, as `schema.table`."""
        return f"{self.schema}.{self.table}"


@dataclass(frozen=True)
class CatalogTable:
    """Table of the source.

    Args:
        kind, persistence: `relkind` and `relpersistence` of pg_class.
        has_children: other tables inherit from it, or are its partitions.
        key: columns of its primary key; empty without one.
        key_statement: a statement that makes a unique index its primary key, if it has such an index.
    """

    schema: str
    name: str
    kind: str
    persistence: str
    is_partition: bool
    has_children: bool
    columns: tuple[CatalogColumn, ...]
    key: tuple[str, ...]
    is_key_deferrable: bool
    key_statement: str | None
    foreign_keys: tuple[ForeignKey, ...]

    @property
    def source(self) -> str:
        """The table as `schema.table`."""
        return f"{self.schema}.{self.name}"

    def obstacle(self, version: int) -> tuple[str, str] | None:
        """Return why the table cannot be captured, and what can be done; None if it can be captured.

        Args:
            version: the server's major version.
        """
        return next(self._obstacles(version), None)

    def capturable(self, version: int) -> list[CatalogColumn]:
        """Return the columns whose values reach every read model. Of names that differ only in case, the first."""
        found: dict[str, CatalogColumn] = {}
        for column in self.columns:
            if column.obstacle(version) is None:
                found.setdefault(column.name.lower(), column)
        return list(found.values())

    def _obstacles(self, version: int) -> Iterator[tuple[str, str]]:
        quoted = table_in_sql(self.source)
        if "." in self.name or "." in self.schema:
            yield "its name contains a dot, which separates schema and table in the connector's names", "Rename it."
        if self.kind in "vmf":
            names = {"v": "a view", "m": "a materialized view", "f": "a foreign table"}
            yield f"it is {names[self.kind]}, which has no changes of its own", "Capture the tables behind it."
        if self.kind == "p":
            yield "it is partitioned", "Capture its partitions, which are tables of their own."
        elif self.has_children:
            yield "other tables inherit from it, whose rows a snapshot would show as its own", "Capture these tables."
        if self.persistence != "p":
            yield "it is not in the WAL", f"ALTER TABLE {quoted} SET LOGGED;"
        if not self.key:
            columns = f"ALTER TABLE {quoted} ADD PRIMARY KEY (…);"
            yield "it has no primary key", self.key_statement or columns
        if self.is_key_deferrable:
            yield (
                "its primary key is deferrable, so that one key could be two rows in the log",
                ("Make the key NOT DEFERRABLE."),
            )
        if version >= STORED_COLUMNS_SINCE and any(column.generated == VIRTUAL for column in self.columns):
            yield (
                "it has a virtual generated column, with which PostgreSQL would refuse UPDATE and DELETE",
                ("Make the column STORED, or drop it."),
            )
        for column in self.columns:
            if column.name in self.key and (reason := column.obstacle(version) or column.unfitness):
                yield f"{column.name} is part of its key: {reason}", "Give the table another key."


def read_tables(connection: Connection, patterns: Iterable[str]) -> list[CatalogTable]:
    """Read the tables whose names match, in the order of their names.

    Args:
        patterns: each `schema.table`, with `*` for any text; without a schema, it is `public`.

    Raises:
        InvalidPattern: a pattern cannot be read.
        NoTableMatches: no table matches one of the patterns.
    """
    wanted = {pattern: _parse(pattern) for pattern in patterns}
    tables = _read(connection, wanted.values())
    for pattern, (schema, table) in wanted.items():
        if not any(_like(schema).fullmatch(one.schema) and _like(table).fullmatch(one.name) for one in tables):
            raise NoTableMatches(f"no table matches {pattern}")
    return tables


def read_named_tables(connection: Connection, names: Iterable[str]) -> list[CatalogTable]:
    """Read those of the tables, each given as `schema.table`, that exist."""
    wanted = {*names}
    found = _read(connection, [tuple(name.split(".", 1)) for name in wanted if "." in name])
    return [table for table in found if table.source in wanted]


def server_version(connection: Connection) -> int:
    """Return the server's major version, such as 18."""
    return connection.info.server_version // 10_000


def _read(connection: Connection, wanted: Iterable[tuple[str, ...]]) -> list[CatalogTable]:
    named = [(_escape(schema), _escape(table)) for schema, table in wanted]
    parameters = {"schemas": [schema for schema, _ in named], "tables": [table for _, table in named]}
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(load_sql("catalog_tables.sql"), parameters).fetchall()
    return [_table(row) for row in rows]


def _table(row: Mapping[str, Any]) -> CatalogTable:
    return CatalogTable(
        schema=row["schema_name"],
        name=row["table_name"],
        kind=row["kind"],
        persistence=row["persistence"],
        is_partition=row["is_partition"],
        has_children=row["has_children"],
        columns=tuple(CatalogColumn(**column) for column in row["columns"]),
        key=tuple(row["key"]),
        is_key_deferrable=row["is_key_deferrable"],
        key_statement=row["key_statement"],
        foreign_keys=tuple(
            ForeignKey(**{**one, "columns": tuple(one["columns"]), "target_columns": tuple(one["target_columns"])})
            for one in row["foreign_keys"]
        ),
    )


def _parse(pattern: str) -> tuple[str, str]:
    found = _PATTERN.fullmatch(pattern.strip())
    if found is None:
        raise InvalidPattern(f"not a table or a pattern: {pattern!r}")
    return _unquoted(found["schema"] or "public"), _unquoted(found["table"])


def _unquoted(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') and name.endswith('"') else name


def _escape(pattern: str) -> str:
    return re.sub(r"([\\%_])", r"\\\1", pattern).replace("*", "%")


def _like(pattern: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, pattern.split("*"))), re.DOTALL)
