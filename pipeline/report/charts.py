"""Charts of a report: the result of each view, as drawings and as numbers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from xml.etree.ElementTree import Element

from pipeline.report.number_format import duration, grouped, share
from pipeline.report.queries import Rows
from pipeline.report.svg import RangeBar, StackedBar, bars, columns, spans

MOST_DAYS = 90
MOST_SKUS = 5
MOST_LINES = 10


@dataclass(frozen=True)
class Plot:
    """Drawing of a chart. `name` distinguishes it from others of the chart, such as that of another currency."""

    name: str
    drawn: Element


@dataclass(frozen=True)
class Chart:
    """Chart of one view, with drawings and a table of numbers.

    Args:
        legend: names of the parts of a column or bar, if there are several.
        heads, cells: the table of numbers.
        note: describes rows that were left out; empty if there are none.
    """

    title: str
    sentence: str
    drawings: Sequence[Plot]
    heads: Sequence[str]
    cells: Sequence[Sequence[str]]
    legend: Sequence[str] = ()
    note: str = ""


def charts(answers: Mapping[str, Rows]) -> list[Chart]:
    """Return the charts of the available views, in reading order."""
    return [draw(answers[view]) for view, draw in _PICTURES.items() if view in answers]


def _revenue(rows: Rows) -> Chart:
    days = _days(rows)
    shown = [row for row in rows if row["day"] in days]
    drawings = [
        Plot(
            currency,
            columns(
                f"Revenue per day in {currency}", _daily(days, own, ("revenue",), lambda row: grouped(row["revenue"]))
            ),
        )
        for currency, own in _by(shown, "currency")
    ]
    return Chart(
        "Revenue per day",
        "Orders that are paid or shipped now, by the day on which they were placed.",
        drawings,
        ("day", "currency", "orders", "revenue"),
        _cells(shown, "day", "currency", "orders", "revenue"),
        note=_left_out(rows, days),
    )


def _statuses(rows: Rows) -> Chart:
    counts: dict[str, int] = defaultdict(int)
    for row in rows:
        counts[row["status"]] += row["orders"]
    stacks = [StackedBar(status, (count,), grouped(count)) for status, count in counts.items()]
    return Chart(
        "Where orders stand",
        "All orders by the status that they have now.",
        _one(bars, "Orders by status", stacks),
        ("status", "currency", "orders", "total"),
        _cells(rows, "status", "currency", "orders", "total"),
    )


def _funnel(rows: Rows) -> Chart:
    first = rows[0]["reached"] if rows else 0
    stacks = [
        StackedBar(
            row["status"],
            (row["reached"] - row["cancelled"], row["cancelled"]),
            f"{grouped(row['reached'])} · {share(row['reached'], first)}",
        )
        for row in rows
        if first
    ]
    return Chart(
        "How far orders come",
        "Orders that came at least as far as each status; deleted ones count too.",
        _one(bars, "Orders that reached each status", stacks),
        ("status", "reached", "cancelled there"),
        _cells(rows, "status", "reached", "cancelled"),
        legend=("went on, or stand there", "cancelled there"),
    )


def _stays(rows: Rows) -> Chart:
    stays = [
        RangeBar(f"{row['from_status']} → {row['to_status']}", row["shortest_s"], row["median_s"], row["longest_s"])
        for row in rows
    ]
    times = ("shortest_s", "median_s", "longest_s")
    return Chart(
        "Time in a status",
        "How long orders stay before the next status: from the shortest to the longest, with the median as a dot.",
        _one(spans, "Time in a status before the next", stays),
        ("from", "to", "times", "shortest", "median", "longest"),
        [
            (row["from_status"], row["to_status"], grouped(row["times"]), *(duration(row[time]) for time in times))
            for row in rows
        ],
    )


def _skus(rows: Rows) -> Chart:
    best = [(currency, own[:MOST_SKUS]) for currency, own in _by(rows, "currency")]
    drawings = [
        Plot(
            currency,
            bars(
                f"Revenue of the best articles in {currency}",
                [StackedBar(row["sku"], (float(row["revenue"] or 0),), grouped(row["revenue"])) for row in own],
            ),
        )
        for currency, own in best
    ]
    shown = [row for _, own in best for row in own]
    return Chart(
        "What sells",
        f"The {MOST_SKUS} articles with the most revenue in paid and shipped orders, for each currency.",
        drawings,
        ("article", "currency", "orders", "pieces", "revenue"),
        _cells(shown, "sku", "currency", "orders", "quantity", "revenue"),
        note=f"{grouped(len(rows) - len(shown))} more are in top_skus." if len(rows) > len(shown) else "",
    )


def _customers(rows: Rows) -> Chart:
    days = _days(rows)
    shown = [row for row in rows if row["day"] in days]
    parts = ("first_orders", "repeat_orders")
    stacks = _daily(days, shown, parts, lambda row: f"{row['first_orders']} first, {row['repeat_orders']} repeated")
    return Chart(
        "First and repeated orders",
        "Orders of new customers, and of those who come back, in all currencies; cancelled ones are left out.",
        _one(columns, "First and repeated orders per day", stacks),
        ("day", "currency", "first orders", "their total", "repeated orders", "their total"),
        _cells(shown, "day", "currency", "first_orders", "first_total", "repeat_orders", "repeat_total"),
        legend=("first", "repeated"),
        note=_left_out(rows, days),
    )


def _baskets(rows: Rows) -> Chart:
    counts: dict[int, int] = defaultdict(int)
    for row in rows:
        counts[min(row["lines"], MOST_LINES)] += row["orders"]
    stacks = [
        StackedBar(f"{lines}{'+' if lines == MOST_LINES else ''}", (counts[lines],), f"{grouped(counts[lines])} orders")
        for lines in range(min(counts, default=0), max(counts, default=-1) + 1)
    ]
    return Chart(
        "Basket size",
        "Orders by how many lines they have, in all currencies; cancelled ones are left out.",
        _one(columns, "Orders by their number of lines", stacks),
        ("currency", "lines", "orders", "pieces", "total", "median total"),
        _cells(rows, "currency", "lines", "orders", "pieces", "total", "median_total"),
    )


_PICTURES: Mapping[str, Callable[[Rows], Chart]] = {
    "revenue_per_day": _revenue,
    "order_funnel": _funnel,
    "time_between_statuses": _stays,
    "top_skus": _skus,
    "orders_by_status": _statuses,
    "first_and_repeat_orders": _customers,
    "basket_size": _baskets,
}


def _one(
    draw: Callable[[str, Any], Element], title: str, drawn: Sequence[StackedBar] | Sequence[RangeBar]
) -> list[Plot]:
    """Return a single drawing; empty if there is nothing to draw."""
    return [Plot("", draw(title, drawn))] if drawn else []


def _by(rows: Rows, column: str) -> list[tuple[str, Rows]]:
    groups: dict[str, Rows] = defaultdict(list)
    for row in rows:
        groups[row[column]].append(row)
    return sorted(groups.items())


def _days(rows: Rows) -> list[date]:
    """Return the last days with data, and the days between them."""
    known = {row["day"] for row in rows if isinstance(row["day"], date)}
    if not known:
        return []
    count = min(MOST_DAYS, (max(known) - min(known)).days + 1)
    return [max(known) - timedelta(days=back) for back in reversed(range(count))]


def _left_out(rows: Rows, days: Sequence[date]) -> str:
    left_out = {row["day"] for row in rows} - set(days)
    undated = {day for day in left_out if not isinstance(day, date)}
    earlier = len(left_out) - len(undated)
    sentences = (
        f"{grouped(earlier)} earlier days are left out." if earlier else "",
        f"{grouped(len(undated))} days outside of the years 1 to 9999 are left out." if undated else "",
    )
    return " ".join(filter(None, sentences))


def _daily(
    days: Iterable[date], rows: Rows, parts: Sequence[str], words: Callable[[Mapping[str, Any]], str]
) -> list[StackedBar]:
    """Return one column per day, also for days without data. The values of several rows of a day are added."""
    found: dict[date, dict[str, Any]] = {}
    for row in rows:
        known = found.setdefault(row["day"], dict.fromkeys(parts, 0))
        known.update({part: known[part] + (row[part] or 0) for part in parts})
    nothing = dict.fromkeys(parts, 0)
    return [
        StackedBar(
            str(day), tuple(float(found.get(day, nothing)[part]) for part in parts), words(found.get(day, nothing))
        )
        for day in days
    ]


def _cells(rows: Rows, *names: str) -> list[list[str]]:
    return [[_cell(row[name]) for name in names] for row in rows]


def _cell(value: object) -> str:
    """Format a value exactly; money keeps all of its digits."""
    return "NULL" if value is None else f"{value:f}" if isinstance(value, Decimal) else str(value)
