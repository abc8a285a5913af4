"""The page: one file with its style in it, which asks nobody for anything."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal
from importlib.resources import files
from xml.etree.ElementTree import Element

from pipeline.report.charts import Picture, pictures
from pipeline.report.html import node, written
from pipeline.report.number_format import duration, grouped
from pipeline.report.queries import Answers

TITLE = "Orders"
NOTHING = "Nothing to show yet."
POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""What a browser may load for this page: nothing."""

Fact = tuple[str, str, str]
"""What it is, its value, and what is said beside it."""


def page(answers: Answers) -> str:
    """The HTML of a report."""
    style = files("pipeline.report").joinpath("page.css").read_text()
    head = node(
        "head",
        node("meta", charset="utf-8"),
        node("meta", name="viewport", content="width=device-width, initial-scale=1"),
        node("meta", name="color-scheme", content="light dark"),
        node("meta", **{"http-equiv": "Content-Security-Policy", "content": POLICY}),
        node("title", TITLE),
        node("style", style),
    )
    zone = f"Days begin at midnight in {answers.time_zone}. Money is exact, and apart by currency."
    facts = node("dl", *(_fact(*fact) for fact in [*_freshness(answers), *_sums(answers)]), class_="facts")
    figures = node("div", *map(_figure, pictures(answers.rows)), class_="pictures")
    main = node("main", node("h1", TITLE), node("p", zone), facts, figures)
    return written(node("html", head, node("body", main), lang="en"))


def _freshness(answers: Answers) -> list[Fact]:
    newest = answers.place.newest if answers.place is not None else None
    lag = answers.lag_records
    unread = "not known" if lag is None else grouped(lag)
    beside = "Kafka did not say where the log ends" if lag is None else "when this page was written"
    if newest is None:
        return [("As of", "–", "no change taken in yet"), ("Records not read yet", unread, beside)]
    behind_s = max(0.0, (answers.written_at - newest).total_seconds())
    written_at = answers.written_at.strftime("%Y-%m-%d %H:%M:%S UTC")
    return [
        (
            "As of the commit at",
            newest.strftime("%H:%M:%S"),
            f"UTC on {newest.strftime('%Y-%m-%d')}; the page was written {duration(behind_s)} later, at {written_at}",
        ),
        ("Records not read yet", unread, beside),
    ]


def _sums(answers: Answers) -> list[Fact]:
    """Orders, and revenue in each currency."""
    found: list[Fact] = []
    if (statuses := answers.rows.get("orders_by_status")) is not None:
        found.append(("Orders", grouped(sum(row["orders"] for row in statuses)), "of any status, now"))
    revenue: dict[str, Decimal] = defaultdict(Decimal)
    orders: dict[str, int] = defaultdict(int)
    for row in answers.rows.get("revenue_per_day", ()):
        revenue[row["currency"]] += row["revenue"] or 0
        orders[row["currency"]] += row["orders"]
    for currency in sorted(revenue):
        found.append((f"Revenue in {currency}", grouped(revenue[currency]), f"{grouped(orders[currency])} orders"))
    return found


def _fact(name: str, value: str, beside: str) -> Element:
    return node("div", node("dt", name), node("dd", value, node("small", beside)), class_="fact")


def _figure(picture: Picture) -> Element:
    caption = node("figcaption", node("h2", picture.title), node("p", picture.sentence))
    if not picture.cells or not picture.drawings:
        return node("figure", caption, node("p", NOTHING, class_="nothing"))
    drawn = [part for one in picture.drawings for part in ([node("h3", one.name)] if one.name else []) + [one.drawn]]
    note = [node("p", picture.note)] if picture.note else []
    return node("figure", caption, *_legend(picture.legend), *drawn, *note, _numbers(picture))


def _legend(names: Sequence[str]) -> list[Element]:
    def entry(number: int, name: str) -> Element:
        square = node("rect", width=11, height=11, rx=2, class_=f"part{number}")
        return node("li", node("svg", square, width=11, height=11, aria_hidden="true"), name)

    return [node("ul", *(entry(*one) for one in enumerate(names)), class_="legend")] if names else []


def _numbers(picture: Picture) -> Element:
    heads = node("thead", node("tr", *(node("th", head, scope="col") for head in picture.heads)))
    rows = node("tbody", *(node("tr", *(node("td", cell) for cell in row)) for row in picture.cells))
    table = node("table", node("caption", picture.title), heads, rows)
    scrolled = node("div", table, class_="numbers", tabindex=0, role="region", aria_label=f"{picture.title} in numbers")
    return node("details", node("summary", "Numbers"), scrolled)
