"""How the envelopes of one schema become those of one table."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa

from connectors.arrays import ColumnReader
from connectors.envelope import TableColumns, envelope_schema
from connectors.errors import ContractBroken, MissingColumn, WireTypeRefused
from connectors.numerics import Decimals
from connectors.types import column_type
from connectors.wire import Wire


@dataclass(frozen=True)
class Plan:
    """The readers of a table's columns in one schema.

    Attributes:
        table: what is declared of the table.
        readers: by declared column, in declared order.
        broken: why there are none. It is raised only when a record proves to be this table's: a record that strayed
            into the topic breaks no contract.
    """

    table: TableColumns
    readers: Mapping[str, ColumnReader]
    broken: ContractBroken | None = None

    @cached_property
    def schema(self) -> pa.Schema:
        """The schema of the table's envelopes."""
        return envelope_schema(self.table)


def plan(table: TableColumns, wires: Mapping[str, Wire], decimals: Decimals) -> Plan:
    """Find a reader for every declared column in the forms in which they are sent, by name."""
    missing = [name for name in table.columns if name not in wires]
    if missing:
        return Plan(table, {}, MissingColumn(f"{table.table} is sent without {', '.join(missing)}"))
    readers = {}
    for name, text in table.columns.items():
        try:
            readers[name] = ColumnReader(name, wires[name], column_type(text), decimals)
        except WireTypeRefused as error:
            return Plan(table, {}, type(error)(f"{table.table}.{name} {text}: {error}"))
    return Plan(table, readers)
