"""Page of a report: one file with embedded styles that loads nothing else."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal
from importlib.resources import files
from xml.etree.ElementTree import Element

from pipeline.report.charts import Chart, charts
from pipeline.report.html import element, written
from pipeline.report.number_format import duration, grouped
from pipeline.report.queries import QueryResults

TITLE = "Orders"
NOTHING = "Nothing to show yet."
POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""Content security policy of the page: a browser may load nothing."""

Fact = tuple[str, str, str]
"""Name, value, and remark beside it."""


def page(answers: QueryResults) -> str:
    """Return the HTML of a report."""
    style = files("pipeline.report").joinpath("page.css").read_text()
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", **{"http-equiv": "Content-Security-Policy", "content": POLICY}),
        element("title", TITLE),
        element("style", style),
    )
    zone = f"Days begin at midnight in {answers.time_zone}. Money is exact, and apart by currency."
    facts = element("dl", *(_fact(*fact) for fact in [*_freshness(answers), *_sums(answers)]), class_="facts")
    figures = element("div", *map(_figure, charts(answers.rows)), class_="pictures")
    main = element("main", element("h1", TITLE), element("p", zone), facts, figures)
    return written(element("html", head, element("body", main), lang="en"))


def _freshness(answers: QueryResults) -> list[Fact]:
    newest = answers.place.newest if answers.place is not None else None
    lag = answers.lag_records
    unread = "not known" if lag is None else grouped(lag)
    beside = "Kafka did not say where the log ends" if lag is None else "when this page was written"
    if newest is None:
        return [("As of", "–", "no change applied yet"), ("Records not read yet", unread, beside)]
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


def _sums(answers: QueryResults) -> list[Fact]:
    """Return the number of orders, and the revenue in each currency."""
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
    return element("div", element("dt", name), element("dd", value, element("small", beside)), class_="fact")


def _figure(picture: Chart) -> Element:
    caption = element("figcaption", element("h2", picture.title), element("p", picture.sentence))
    if not picture.cells or not picture.drawings:
        return element("figure", caption, element("p", NOTHING, class_="nothing"))
    drawn = [part for one in picture.drawings for part in ([element("h3", one.name)] if one.name else []) + [one.drawn]]
    note = [element("p", picture.note)] if picture.note else []
    return element("figure", caption, *_legend(picture.legend), *drawn, *note, _numbers(picture))


def _legend(names: Sequence[str]) -> list[Element]:
    def entry(number: int, name: str) -> Element:
        square = element("rect", width=11, height=11, rx=2, class_=f"part{number}")
        return element("li", element("svg", square, width=11, height=11, aria_hidden="true"), name)

    return [element("ul", *(entry(*one) for one in enumerate(names)), class_="legend")] if names else []


def _numbers(picture: Chart) -> Element:
    heads = element("thead", element("tr", *(element("th", head, scope="col") for head in picture.heads)))
    rows = element("tbody", *(element("tr", *(element("td", cell) for cell in row)) for row in picture.cells))
    table = element("table", element("caption", picture.title), heads, rows)
    scrolled = element(
        "div", table, class_="numbers", tabindex=0, role="region", aria_label=f"{picture.title} in numbers"
    )
    return element("details", element("summary", "Numbers"), scrolled)
