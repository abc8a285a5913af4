"""Tests of `readmodels report`: a self-contained, exact page that marks missing data."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import html5lib
import pytest

from pipeline.report.charts import MOST_DAYS, charts
from pipeline.report.number_format import duration
from pipeline.report.page import NOTHING, page
from pipeline.report.queries import VIEWS, QueryResults
from pipeline.report.svg import RangeBar, StackedBar, bars, columns, spans
from sinks.duckdb.progress_query import ReadPosition
from sinks.duckdb.store import DuckdbStore
from tests.remedies.shell import SETTINGS
from tests.unit.pipeline.cli.test_sql_command import command
from tests.unit.pipeline.query.test_analytics import BERLIN, ITEMS, ORDERS, Orders, moment, shapes
from tests.unit.sinks.ordering.row_changes import batch

TOPIC_PARTITION = ("cdc.public.orders", 0)
YEAR_44_BC, YEAR_12026 = -63_517_000_000_000_000, 317_337_000_000_000_000
NOW = datetime(2026, 1, 2, 12, 0, 3, tzinfo=UTC)
HTML = "{http://www.w3.org/1999/xhtml}"
SVG = "{http://www.w3.org/2000/svg}"


def answers(rows: Mapping[str, Any], ends: Mapping[Any, int] | None = None) -> QueryResults:
    """Return answers as of three seconds before a report is written."""
    return QueryResults(
        rows, ReadPosition(NOW - timedelta(seconds=3), {TOPIC_PARTITION: 40}), NOW, "Europe/Berlin", ends
    )


def parsed(text: str) -> Element:
    """Parse a page by the rules of browsers; every parse error fails."""
    tree: Element = html5lib.HTMLParser(strict=True).parse(text)
    return tree


def texts(tree: Element, tag: str) -> list[str]:
    """Return the texts of all elements with a tag."""
    return ["".join(found.itertext()) for found in tree.iter(tag)]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Return settings for the command, and create a small shop in DuckDB."""
    told = Orders()
    told.order(1, 1, status="pending", total="0.10", created_at=moment("2026-01-01T22:30:00Z"))
    told.order(3, 1, status="paid")
    told.order(60, 1, status="shipped")
    told.order(2, 2, status="paid", total="9999999999.99", created_at=moment("2026-01-01T23:30:00Z"))
    told.order(2, 3, status="paid", total="7.00", currency="<USD>", created_at=moment("2026-01-01T23:30:00Z"))
    told.order(4, 4, status="cancelled", total="5.00")
    told.item(1, 1, order_id=1, sku="</svg><script>alert(1)</script>", quantity=2, unit_price="0.05")
    with closing(DuckdbStore(tmp_path / "duckdb", shapes(), analytics=BERLIN)) as store:
        store.sink(1).prepare()
        for shape in (ORDERS, ITEMS):
            store.sink(1).write(batch(shape, told.changes[shape.table]))
        store.sink(1).cutover()
    settings = {f"READMODELS_{name}": value for name, value in SETTINGS.items()}
    place = {"READMODELS_DUCKDB__DIRECTORY": str(tmp_path / "duckdb"), "READMODELS_DUCKDB__TIME_ZONE": "Europe/Berlin"}
    return {**os.environ, **settings, **place, "NO_COLOR": "1"}


def test_the_command_writes_one_page_that_loads_nothing_else(environment: dict[str, str], tmp_path: Path) -> None:
    line = [word for word in command(tmp_path) if word != "sql"]
    written = tmp_path / "report.html"
    ended = subprocess.run(
        [*line, "report", "--output", str(written)], env=environment, capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout) == (0, ""), ended.stderr
    text = written.read_text()
    tree = parsed(text)
    assert not re.search(r"https?:|url\(|@import|<script|<link|<img|src=|href=", text.split("<body")[0])
    assert not [found for found in tree.iter() if {"src", "href", "style"} & found.attrib.keys()]
    assert not list(tree.iter(f"{HTML}script"))
    assert len(text) < 60_000
    assert "width=device-width" in text
    assert "prefers-color-scheme: dark" in text
    assert not re.search("hidden@|:hidden|127.0.0.1", text)
    headings = texts(tree, f"{HTML}h2")
    assert len(headings) == len(VIEWS) == len(list(tree.iter(f"{HTML}figure")))
    assert NOTHING not in text
    cells = texts(tree, f"{HTML}td")
    assert {"2026-01-01", "0.10", "2026-01-02", "9999999999.99", "7.00", "<USD>"} <= set(cells)
    assert "Revenue in EUR10,000,000,000.092 orders" in texts(tree, f"{HTML}div")
    assert "10000000007" not in text.replace(",", "")
    assert "in Europe/Berlin." in text


def test_a_report_shows_orders_of_days_outside_the_calendar(environment: dict[str, str], tmp_path: Path) -> None:
    told = Orders()
    for number, created_at in enumerate((2**63 - 1, -(2**63 - 1), YEAR_44_BC, YEAR_12026)):
        told.order(1, 10 + number, status="paid", total=None, currency="EUR", created_at=created_at)
    with closing(DuckdbStore(tmp_path / "duckdb", shapes(), analytics=BERLIN)) as store:
        store.sink(1).write(batch(ORDERS, told.changes[ORDERS.table]))
    line = [word for word in command(tmp_path) if word != "sql"]
    subprocess.run([*line, "report", "--output", str(tmp_path / "odd.html")], env=environment, check=True)
    text = (tmp_path / "odd.html").read_text()
    assert text.count("4 days outside of the years 1 to 9999 are left out.") == 2
    assert "10,000,000,000.09" in text


def test_every_chart_has_a_title_and_a_table_of_numbers(environment: dict[str, str], tmp_path: Path) -> None:
    line = [word for word in command(tmp_path) if word != "sql"]
    subprocess.run([*line, "report", "--output", str(tmp_path / "one.html")], env=environment, check=True)
    tree = parsed((tmp_path / "one.html").read_text())
    for figure in tree.iter(f"{HTML}figure"):
        drawn = [one for one in figure.iter(f"{SVG}svg") if one.get("role") == "img"]
        assert drawn
        assert all(one.get("aria-label") and one.find(f"{SVG}title") is not None for one in drawn)
        assert figure.find(f".//{HTML}caption") is not None
        assert len(list(figure.iter(f"{HTML}tr"))) > 1


def test_a_page_shows_its_time_and_the_records_not_read_yet() -> None:
    told = page(answers({}, {TOPIC_PARTITION: 47}))
    assert "As of the commit at" in told
    assert "<dd>12:00:00<small>UTC on 2026-01-02; the page was written 3 s later, at 2026-01-02 12:00:03 UTC" in told
    assert "<dt>Records not read yet</dt><dd>7<small>" in told
    assert "<dt>Records not read yet</dt><dd>not known<small>Kafka did not say" in page(answers({}))
    unknown = QueryResults({}, ReadPosition(None, {}), NOW, "UTC", None)
    assert "no change applied yet" in page(unknown)
    assert "no change applied yet" in page(QueryResults({}, None, NOW, "UTC", None))


def test_a_page_without_data_says_so() -> None:
    tree = parsed(page(answers({view: [] for view in VIEWS})))
    assert texts(tree, f"{HTML}p").count(NOTHING) == len(VIEWS)
    assert not list(tree.iter(f"{SVG}svg"))
    assert not list(parsed(page(answers({}))).iter(f"{HTML}figure"))


def test_days_without_an_order_are_drawn_and_only_the_last_ones() -> None:
    begin = date(2026, 1, 1)
    days = [begin, begin + timedelta(days=100), begin + timedelta(days=102)]
    rows = [{"day": day, "currency": "EUR", "orders": 1, "revenue": Decimal("1.10")} for day in days]
    [picture] = charts({"revenue_per_day": rows})
    [drawing] = picture.drawings
    names = [found.text or "" for found in drawing.drawn.iter("title")][1:]
    assert len(names) == MOST_DAYS
    assert names[-3:] == ["2026-04-11: 1.10", "2026-04-12: 0", "2026-04-13: 1.10"]
    assert picture.note == "1 earlier days are left out."
    assert [cells[0] for cells in picture.cells] == ["2026-04-11", "2026-04-13"]


def test_money_of_two_currencies_is_never_in_one_drawing() -> None:
    rows = [
        {"sku": "A", "currency": currency, "orders": 1, "quantity": 1, "revenue": Decimal("2.00")}
        for currency in ("USD", "EUR")
    ]
    [picture] = charts({"top_skus": rows})
    assert [drawing.name for drawing in picture.drawings] == ["EUR", "USD"]
    assert all(len(list(drawing.drawn.iter("g"))) == 1 for drawing in picture.drawings)


def test_lengths_are_in_proportion_and_within_the_chart() -> None:
    drawn = columns(
        "heights",
        [StackedBar("one", (10.0, 20.0), "30"), StackedBar("two", (15.0,), "15"), StackedBar("none", (0.0,), "0")],
    )
    heights = [float(found.get("height", "")) for found in drawn.iter("rect")]
    assert heights == [50.0, 100.0, 75.0, 0.0]
    drawn = bars("widths", [StackedBar("one", (4.0,), "4"), StackedBar("two", (1.0, 1.0), "2")])
    widths = [found.get("width") for found in drawn.iter("rect") if found.get("class") != "track"]
    assert widths == ["100.000%", "25.000%", "25.000%"]
    for longest_s in (0.0, 0.5, 86_400.0):
        drawn = spans("times", [RangeBar("stay", 0.0, longest_s / 2, longest_s)])
        places = [float(found.get("cx", "").rstrip("%")) for found in drawn.iter("circle")]
        assert all(0 <= place <= 100 for place in places)
    assert not list(columns("nothing", []).iter("rect"))


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0, "0 ms"), (0.0421, "42.1 ms"), (59, "59 s"), (90, "1.5 min"), (5400, "1.5 h"), (2e6, "23.1 d")],
)
def test_a_duration_is_printed_in_the_unit_that_suits_it(seconds: float, told: str) -> None:
    assert duration(seconds) == told
