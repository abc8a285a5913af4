"""Columns that earlier records of the log lack, or have with another type, and the value that replaces them.

A row that is older than its column has the column's missing value: NULL, or the default with which the column was
added. PostgreSQL keeps that value until the table is rewritten, so it is stored in the new generation's definitions.
A volatile default, such as `random()`, or a new type rewrites the table without an event. The older records are then
read as NULL, and the comparison with PostgreSQL decides whether that is right.

Source: https://www.postgresql.org/docs/current/catalog-pg-attribute.html
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any

import psycopg
from psycopg.rows import class_row

from connectors.decode.column_plan import constant
from connectors.errors import SourceContractViolation
from connectors.types.pg_types import ColumnType, TypeKind, parse_column_type
from pipeline.config import Settings
from pipeline.definitions import TableDefinition
from pipeline.log_scan.finding import FindingReason, LogFinding
from pipeline.log_scan.scan import LogScan
from pipeline.postgres.capture import read_source
from pipeline.postgres.database import Connection, connect, load_sql
from pipeline.postgres.preconditions import column_findings
from pipeline.setup.source import deployment_of
from sinks.batch import Offsets

Values = Mapping[str, Mapping[str, Any]]
"""Values of earlier records by table and column, in the form of `connectors.types.wire_types.default_json`."""


_THEN = "Then run `readmodels replay all --execute`."

NOT_SENT = frozenset({"not sent"})


@dataclass(frozen=True)
class Earlier:
    """Values to store for earlier records, and findings."""

    values: Values = field(default_factory=dict)
    findings: tuple[LogFinding, ...] = ()


@dataclass(frozen=True)
class _Column:
    name: str
    type: str
    is_not_null: bool
    has_default: bool
    missing: str | None


def earlier(settings: Settings, scan: LogScan | None) -> Earlier:
    """Read from PostgreSQL the values of columns that some records lack, and find columns without a known value.

    Args:
        scan: of the log; None if the log is not read from its beginning.

    Raises:
        SourceUnavailable: PostgreSQL does not answer.
    """
    values: dict[str, dict[str, Any]] = {}
    findings: list[LogFinding] = []
    with closing(connect(settings.source.url)) as connection:
        capture = deployment_of(settings).capture
        untrue = column_findings(read_source(connection, capture), capture)
        findings += [LogFinding(FindingReason.COLUMN_UNTRUE, one.problem, f"{one.remedy} {_THEN}") for one in untrue]
        for topic, name in settings.definitions.topics.items():
            table = settings.tables[name]
            there = _columns(connection, table)
            findings += [_gone(table, column) for column in table.columns if column not in there]
            for column, reasons in sorted((scan.earlier.get(topic, {}) if scan else {}).items()):
                if column not in there:
                    continue
                if reasons != NOT_SENT and _is_misdescribed(table, there[column]):
                    findings.append(_misdescribed(table, there[column], reasons))
                else:
                    value = _missing_value(connection, table, there[column])
                    values.setdefault(name, {})[column] = value
                    findings.append(_told(name, there[column], reasons, value))
    return Earlier(values, tuple(findings))


def noting(settings: Settings, values: Values, ends: Offsets) -> Settings:
    """Return the settings with the values of earlier records.

    Args:
        ends: end offsets of the log, read after all records that lack the columns were written.
    """
    tables = dict(settings.tables)
    for name, of_table in values.items():
        topic = settings.definitions.topic(name)
        found = {str(partition): end for (of_topic, partition), end in ends.items() if of_topic == topic}
        tables[name] = replace(tables[name], earlier=dict(of_table), earlier_end=found)
    return settings.model_copy(update={"tables": tables})


def _columns(connection: Connection, table: TableDefinition) -> dict[str, _Column]:
    schema, _, name = table.source.partition(".")
    with connection.cursor(row_factory=class_row(_Column)) as cursor:
        asked = {"schema": schema, "table": name, "columns": list(table.columns)}
        return {one.name: one for one in cursor.execute(load_sql("described_columns.sql"), asked)}


def _gone(table: TableDefinition, column: str) -> LogFinding:
    return LogFinding(
        FindingReason.COLUMN_GONE, f"{table.source} has no column {column}, which readmodels.toml declares"
    )


def _is_misdescribed(table: TableDefinition, column: _Column) -> bool:
    """Return whether a column's type in the definitions has another meaning than its type in PostgreSQL."""
    try:
        return parse_column_type(column.type).kind is not parse_column_type(table.columns[column.name]).kind
    except SourceContractViolation:
        return True


def _misdescribed(table: TableDefinition, column: _Column, reasons: frozenset[str]) -> LogFinding:
    sentence = f"{table.source}.{column.name} is declared as {table.columns[column.name]}"
    told = f"PostgreSQL has it as {column.type}: {', '.join(sorted(reasons))}"
    return LogFinding(FindingReason.CONTRACT_BROKEN, f"{sentence}, and {told}")


def _told(table: str, column: _Column, reasons: frozenset[str], value: Any) -> LogFinding:
    sentence = f"earlier records of {table} have no {column.name} of type {column.type} ({', '.join(sorted(reasons))})"
    if column.missing is not None:
        told = f"{sentence}: read as {value!r}, with which PostgreSQL added it"
        return LogFinding(FindingReason.COLUMN_ADDED, told, table=table)
    may_differ = column.is_not_null or column.has_default or reasons != NOT_SENT
    doubt = ", although PostgreSQL may have given older rows other values without an event" if may_differ else ""
    named = shlex.quote(table)
    remedy = (
        f"If the comparison finds differences, run `readmodels snapshot {named} --execute`, then `readmodels "
        "replay all --execute`."
    )
    return LogFinding(FindingReason.COLUMN_UNPROVED, f"{sentence}: read as NULL{doubt}", remedy, table)


def _missing_value(connection: Connection, table: TableDefinition, column: _Column) -> Any:
    """Return the value of rows that are older than a column; None if it cannot be written as in a record."""
    kind = parse_column_type(table.columns[column.name])
    form = _form(kind)
    if column.missing is None or form is None:
        return None
    # PostgreSQL itself wrote the type's name, with quotes if it needs them.
    element = f"(%(missing)s::text::{column.type}[])[1]"
    query = f"SELECT {form} FROM (SELECT {element} AS v) AS missing"  # noqa: S608
    try:
        [(value,)] = connection.execute(query.encode(), {"missing": column.missing}).fetchall()
        constant(column.name, table.columns[column.name], value)
    except (psycopg.Error, SourceContractViolation):
        return None
    return value


def _form(kind: ColumnType) -> str | None:
    """Return the SQL that writes a value `v` as the connector does in JSON without schemas; None if there is none."""
    if kind.kind is TypeKind.TIMESTAMP and kind.fraction_digits <= 3:
        return "to_jsonb((extract(epoch FROM v) * 1000)::bigint)"
    if kind.kind is TypeKind.ARRAY and kind.item is not None:
        item = _form(kind.item)
        return None if item is None else f"(SELECT coalesce(jsonb_agg({item}), '[]') FROM unnest(v) AS items (v))"  # noqa: S608
    return _FORMS.get(kind.kind)


_FORMS: Mapping[TypeKind, str] = {
    TypeKind.INTEGER: "to_jsonb(v)",
    TypeKind.BOOLEAN: "to_jsonb(v)",
    TypeKind.FLOAT: "to_jsonb(v)",
    TypeKind.NUMERIC: "to_jsonb(v::numeric::text)",
    TypeKind.TEXT: "to_jsonb(v::text)",
    TypeKind.HSTORE: "to_jsonb(hstore_to_json(v)::text)",
    TypeKind.BYTES: "to_jsonb(translate(encode(v, 'base64'), E'\\n', ''))",
    TypeKind.DATE: "to_jsonb(v - DATE '1970-01-01')",
    TypeKind.TIME: "to_jsonb((extract(epoch FROM v) * 1000000)::bigint)",
    TypeKind.TIMESTAMP: "to_jsonb((extract(epoch FROM v) * 1000000)::bigint)",
    TypeKind.TIMESTAMPTZ: """to_jsonb(to_char(v AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))""",
}
