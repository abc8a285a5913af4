"""Tests of the remedies of records that do not match the definitions: new definitions make the log readable."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from connectors.errors import InexactDecimal, MissingColumn, SourceContractViolation, UnsupportedType
from pipeline import read_models
from pipeline.config import load
from tests.remedies.commands import commands, settings
from tests.unit.connectors.decode.change_records import (
    COLUMNS,
    ORDERS,
    ROW,
    MemorySchemas,
    batch,
    change,
    envelope_schema,
    framed,
)

DESCRIPTION = Path("readmodels.toml")
IN_DOUBLES = {**COLUMNS, "total": "double"}


def describe(**columns: str) -> None:
    """Write definitions of the orders in the log, with additional columns or other types."""
    lines = "\n".join(f'{name} = "{kind}"' for name, kind in {**ORDERS.columns, **columns}.items())
    table = f'[tables.orders]\nsource = "public.orders"\nkey = ["id"]\n[tables.orders.columns]\n{lines}\n'
    DESCRIPTION.write_text(f'topic_prefix = "cdc"\n{table}')


def take_out(column: str) -> None:
    """Remove a column from the definitions."""
    kept = [line for line in DESCRIPTION.read_text().splitlines() if not line.startswith(f"{column} = ")]
    DESCRIPTION.write_text("\n".join(kept))


def read(columns: Any = COLUMNS, **values: Any) -> int:
    """Decode an insertion from the log as a worker does, and return the number of changes."""
    schema = envelope_schema(columns)
    decoder = read_models.decoder(load(DESCRIPTION, {}), MemorySchemas({7: schema}))
    record = framed(change("c", after={**ROW, **values}), schema)
    return sum(len(table) for table in decoder.decode(batch([record])).envelopes)


def remedy_of(kind: type[SourceContractViolation], *asked: Any, **values: Any) -> str:
    """Return the remedy of a log that cannot be read."""
    with pytest.raises(kind) as refused:
        read(*asked, **values)
    return refused.value.remedy


@pytest.mark.usefixtures("described")
def test_a_log_without_a_column_is_read_once_the_column_is_removed() -> None:
    describe(weight="integer")
    remedy = remedy_of(MissingColumn)
    assert remedy.startswith("If PostgreSQL has no such column, remove it from readmodels.toml; then run")
    assert ["replay", "all", "--execute"] in commands(remedy)
    take_out("weight")
    assert read() == 1


@pytest.mark.parametrize("way", ["Remove the column", "change its type there and in PostgreSQL"])
@pytest.mark.usefixtures("described")
def test_a_log_is_read_once_the_column_of_an_unsupported_type_is_removed_or_has_another(way: str) -> None:
    describe(note="point[]")
    remedy = remedy_of(UnsupportedType)
    assert way in remedy
    if way == "Remove the column":
        take_out("note")
    else:
        describe(note="text")
    assert read() == 1


@pytest.mark.parametrize("way", ["Remove", "accept"])
@pytest.mark.usefixtures("described")
def test_a_log_of_doubles_is_read_once_amounts_are_sent_in_text_or_rounded_ones_accepted(
    way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    describe()
    remedy = remedy_of(InexactDecimal, IN_DOUBLES, total=12.3)
    if way == "accept":
        [(section, name)] = settings(remedy)
        [value] = re.findall(r"set `[a-z.]+` to (\w+)", remedy)
        monkeypatch.setenv(f"READMODELS_{section}__{name}".upper(), value)
        assert read(IN_DOUBLES, total=12.3) == 1
    else:
        assert commands(remedy) == [["init"], ["replay", "all", "--snapshot", "--execute"]]
        assert "decimal.handling.mode" not in load(DESCRIPTION, {}).envelopes.connector
        assert read() == 1
