"""Tests with tables of every type and its extreme values, from `init` to a rebuild: always equal to PostgreSQL."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from tests.acceptance.isolated_pipeline import OwnPipeline, own_pipeline
from tests.acceptance.pipeline_fixture import Pipeline
from tests.values.extremes import COLUMNS, DEFAULTS, SCHEMA, TABLE, rows

NAME = "own_extremes"
PARTS = f"{TABLE}_parts"

UNSENDABLE = {
    "place": ("pg_lsn", "0/16B3748"),
    "gaps": ("interval[]", "{1 day}"),
    "gap": ("interval", "infinity"),
    "hours": ("interval", "2147483648 hours"),
    "reform": ("date", "1582-10-10"),
}
"""Columns that `init` refuses, each with its type and a value; the connector fails at that of `hours`."""

TYPED = ", ".join(f"{name} {text}" for name, text in COLUMNS.items())
CREATE = f"""
CREATE TABLE {TABLE} ({TYPED}, PRIMARY KEY (id),
                      {", ".join(f"{name} {text}" for name, (text, _) in UNSENDABLE.items())});
CREATE TABLE {PARTS} (whole bigint, {TYPED}, PRIMARY KEY (id));
"""
LISTED = "\n".join(f"{name} = {json.dumps(text)}" for name, text in COLUMNS.items())
MORE = f"""
[tables.extremes]
source = "{TABLE}"
key = ["id"]

[tables.parts]
source = "{PARTS}"
key = ["id"]

[tables.parts.columns]
whole = "bigint"
{LISTED}

[documents.{NAME}_rows]
root = "extremes"

[documents.{NAME}_rows.collections.parts]
table = "parts"
parent = ["whole"]

[tables.extremes.columns]
{LISTED}
"""

MOVED = ", ".join(name for name in COLUMNS if name != "id")
CHANGES = (
    f"UPDATE {TABLE} AS row SET ({MOVED}) = (SELECT {MOVED} FROM {TABLE} AS other WHERE other.id = row.id % 20 + 1)",
    f"CREATE TABLE kept AS SELECT * FROM {PARTS} WHERE id % 2 = 0",
    f"DELETE FROM {PARTS} WHERE id % 2 = 0",
    f"INSERT INTO {PARTS} SELECT * FROM kept WHERE id % 4 = 0",
    f"UPDATE {PARTS} SET whole = whole + 1 WHERE id % 3 = 0",
    f"DELETE FROM {TABLE} WHERE id = 7",
)
"""Changes of the rows. The first gives each of the first rows the values of another row."""


@pytest.fixture
def own(deployed: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnPipeline]:
    """Yield a pipeline of a database that has the tables."""
    with own_pipeline(deployed, NAME, tmp_path_factory.mktemp("own"), MORE) as made:
        made.sql(SCHEMA)
        made.sql(CREATE)
        for table in (TABLE, PARTS):
            made.sql(f"ALTER TABLE {table} {DEFAULTS}")
        for number, row in enumerate(rows(), 1):
            described = {name: (COLUMNS[name], value) for name, value in row.items()}
            values = {"id": ("bigint", str(number)), **described, **(UNSENDABLE if number == 1 else {})}
            places = ", ".join(f"%s::text::{kind}" for kind, _ in values.values())
            made.sql(
                f"INSERT INTO {TABLE} ({', '.join(values)}) VALUES ({places})", *(one for _, one in values.values())
            )
        made.sql(f"INSERT INTO {PARTS} SELECT id % 5 + 1, {', '.join(COLUMNS)} FROM {TABLE}")
        yield made


def carry_out(own: OwnPipeline, told: str) -> list[str]:
    """Carry out the remedies of refused columns, and return the names of the excluded columns."""
    said = " ".join(told.split())
    assert f"Change or delete these rows, or take {TABLE} out of `readmodels.toml`" in said
    own.sql(f"UPDATE {TABLE} SET hours = '2147483647 hours'")
    names = re.findall(rf"Leave (\w+) out of the columns of {TABLE} in `readmodels.toml`", said)
    lines = own.command.config.read_text().splitlines()
    own.command.config.write_text("\n".join(line for line in lines if line.partition(" = ")[0] not in names))
    return names


def is_equal(own: OwnPipeline) -> None:
    answer = json.loads(own.succeeds("verify", "--json"))
    assert (answer["is_equal"], answer["differences"]) == (True, [])
    assert all(one["documents"] > 20 for one in answer["models"])


def test_every_type_and_extreme_is_equal_after_changes_and_after_a_rebuild(own: OwnPipeline) -> None:
    described = "".join(f"{name} = {json.dumps(text)}\n" for name, (text, _) in UNSENDABLE.items())
    with own.command.config.open("a") as config:
        config.write(described)
    refused = own.command("init")
    assert (refused.returncode, carry_out(own, refused.stderr)) == (1, [name for name in UNSENDABLE if name != "hours"])
    own.succeeds("init", "--execute")
    for change in CHANGES:
        own.sql(change)
    own.succeeds("run", "--until-caught-up")
    is_equal(own)
    # A replay compares each model with PostgreSQL itself, and fails if one differs.
    own.succeeds("replay", "all", "--execute")
