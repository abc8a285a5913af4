"""Column plan: the readers that convert envelopes of one schema to the columns of one table."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pyarrow as pa

from connectors.envelope import SourceTable, envelope_schema
from connectors.errors import MissingColumn, SourceContractViolation, WireTypeRefused
from connectors.types.numeric import DecimalPolicy
from connectors.types.pg_types import parse_column_type
from connectors.types.vectorized import ColumnReader
from connectors.types.wire_types import WireType, default_json


@dataclass(frozen=True)
class Substitute:
    """Constant for a column of an earlier record, and the reason for which the record's own value is not read."""

    value: pa.Scalar
    reason: str


@dataclass(frozen=True)
class ColumnPlan:
    """Readers of a table's columns in one schema.

    Attributes:
        table: the declared table.
        readers: by declared column that is sent, in declared order.
        broken: the error if there are no readers. It is raised only if a record belongs to this table, because a record
            that strayed into the topic breaks no contract.
        substitutes: by declared column that only earlier records may send in this form, or may lack.
    """

    table: SourceTable
    readers: Mapping[str, ColumnReader]
    broken: SourceContractViolation | None = None
    substitutes: Mapping[str, Substitute] = field(default_factory=dict)

    @cached_property
    def schema(self) -> pa.Schema:
        """The schema of the table's envelopes."""
        return envelope_schema(self.table)

    @property
    def refusal(self) -> MissingColumn:
        """The error for a later record without a column that only earlier records may lack."""
        told = ", ".join(f"{name} ({one.reason})" for name, one in self.substitutes.items())
        return MissingColumn(f"{self.table.table} is no longer sent with {told}")


def plan_columns(table: SourceTable, wires: Mapping[str, WireType], decimals: DecimalPolicy) -> ColumnPlan:
    """Return the plan for the declared columns, given the wire types of the sent columns by name."""
    values = table.earlier.values if table.earlier else {}
    missing = [name for name in table.columns if name not in wires and name not in values]
    if missing:
        return ColumnPlan(table, {}, MissingColumn(f"{table.table} is sent without {', '.join(missing)}"))
    readers = {}
    substitutes = {}
    for name, text in table.columns.items():
        try:
            if name in wires:
                readers[name] = ColumnReader(name, wires[name], parse_column_type(text), decimals)
                continue
            reason = "not sent"
        except WireTypeRefused as error:
            if name not in values:
                return ColumnPlan(table, {}, type(error)(f"{table.table}.{name} {text}: {error}"))
            reason = str(error)
        substitutes[name] = Substitute(constant(name, text, values[name], decimals), reason)
    return ColumnPlan(table, readers, substitutes=substitutes)


def constant(name: str, text: str, value: Any, decimals: DecimalPolicy = DecimalPolicy.EXACT) -> pa.Scalar:
    """Return one value of a column.

    Args:
        text: the column's PostgreSQL type.
        value: in the form of `default_json`.

    Raises:
        MissingColumn: it is not a value of that type.
    """
    kind = parse_column_type(text)
    array, faults, _ = ColumnReader(name, default_json(kind), kind, decimals).read([value])
    if faults:
        raise MissingColumn(f"the value recorded for earlier records cannot be read: {faults[0]}")
    return array[0]
