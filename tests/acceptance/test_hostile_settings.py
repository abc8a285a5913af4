"""Tests of a database whose settings change the output of values, the parsing of statements, and the timeouts.

Its rows have JSON that none of our parsers can read completely.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from psycopg.conninfo import conninfo_to_dict

from pipeline.postgres.database import connect
from tests.acceptance.isolated_pipeline import OwnPipeline, own_pipeline
from tests.acceptance.pipeline_fixture import Pipeline
from tests.integration.hostile import make_hostile

NAME = "own_settings"

TABLE = """
CREATE TABLE public.readings (device text, at timestamptz, day date, seen timestamp, raw bytea, gap interval,
                              ratio double precision, share real, amount numeric, price money, valid tstzrange,
                              tags text[], note jsonb, said json, PRIMARY KEY (device, at));
CREATE TABLE public.marks (mark text PRIMARY KEY, device text, at timestamptz);
"""
MORE = f"""
[tables.readings]
source = "public.readings"
key = ["device", "at"]

[tables.readings.columns]
device = "text"
at = "timestamp with time zone"
day = "date"
seen = "timestamp without time zone"
raw = "bytea"
gap = "interval"
ratio = "double precision"
share = "real"
amount = "numeric(38,2)"
price = "money"
valid = "tstzrange"
tags = "text[]"
note = "jsonb"
said = "json"

[tables.marks]
source = "public.marks"
key = ["mark"]

[tables.marks.columns]
mark = "text"
device = "text"
at = "timestamp with time zone"

[documents.{NAME}_readings]
root = "readings"

[documents.{NAME}_readings.collections.marks]
table = "marks"
parent = ["device", "at"]
"""
ROW = """
INSERT INTO public.readings VALUES (%s, '2026-03-29 01:30:00.000001+01', '0044-03-15 BC', 'infinity', '\\x00ff5c27',
    '1 year -2 days 03:04:05.6', 0.1 + 0.2, 0.1, 12345678901234567890.10, 1234.5, '[2026-01-01 00:00+00,)',
    ARRAY['a', NULL, 'ü'], %s, %s)
"""
JSON = (
    '{"a": 1, "a": 1.10, "b": "\\ud800"}',
    f"[-0, 1e400, {'9' * 5_000}, 0.{'0' * 5_000}1]",
    *('{"a":[' * depth + "1.0" + "]}" * depth for depth in (250, 3_000)),
)
"""Values that a parser would round, refuse, or overflow its stack on; the first is not valid for `jsonb`."""


def insert(own: OwnPipeline, device: str, note: str) -> None:
    own.sql(ROW, device, JSON[1] if note == JSON[0] else note, note)
    own.sql("INSERT INTO public.marks SELECT device || '!', device, at FROM public.readings WHERE device = %s", device)


@pytest.fixture(scope="module")
def own(deployed: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnPipeline]:
    """Yield a pipeline of a database that has all of these settings and some rows before anything is set up."""
    with own_pipeline(deployed, NAME, tmp_path_factory.mktemp("own"), MORE) as made:
        made.sql(TABLE)
        for device, text in enumerate(JSON):
            insert(made, f"{device}:b\\ c", text)
        with connect(made.settings.source.admin_url) as admin:
            make_hostile(admin, NAME, made.settings.source.replication_role)
            make_hostile(admin, NAME, str(conninfo_to_dict(made.settings.source.url)["user"]))
        yield made


def test_settings_of_the_database_change_nothing(own: OwnPipeline) -> None:
    own.succeeds("init", "--execute")
    run = own.start()
    own.settle(run)
    for number, text in enumerate(JSON):
        insert(own, f"{number}: live", text)
    insert(own, "", '"later ☺"')
    own.sql("UPDATE public.readings SET gap = '-00:00:00.000001', ratio = 1e22, price = -0.01 WHERE device <> ''")
    own.sql("INSERT INTO public.orders (customer_id, total) VALUES (7, 12.30)")
    own.end_equal(run)
    answer = json.loads(own.succeeds("verify", "--json"))
    assert (answer["is_equal"], answer["differences"]) == (True, [])
    assert {one["model"]: one["documents"] for one in answer["models"]} == {
        "elasticsearch": 9 + 1,
        "redis": 9 + 1,
        "duckdb": 2 * 9 + 1,
    }
