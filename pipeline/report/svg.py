"""Columns, bars and spans as inline SVG.

Lengths along a line of text are in percent, and all others in pixels of the page: a drawing fills the available width,
and its letters have the same size on a phone and on a desktop. Colours are classes of the page's style sheet.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from pipeline.report.html import element
from pipeline.report.number_format import compact, duration, shortened

PLOT_PX = 150
HEAD_PX = 16
FOOT_PX = 22
ROW_PX = 46
GRID_LINES = 3
GUTTER = 10
"""Width of the numbers beside upright columns, in percent."""
SHARE_OF_COLUMN = 0.78
TICKS_S = (0.001, 0.01, 0.1, 1.0, 10.0, 60.0, 600.0, 3_600.0, 36_000.0, 86_400.0, 864_000.0, 8_640_000.0, 86_400_000.0)
MOST_TICKS = 5
MOST_LABELS = 10


@dataclass(frozen=True)
class StackedBar:
    """Column or bar.

    Args:
        label: name of the column or bar.
        parts: their lengths, from the axis on.
        words: its value as text.
    """

    label: str
    parts: tuple[float, ...]
    words: str


@dataclass(frozen=True)
class RangeBar:
    """Range from the shortest to the longest time, with the median, in seconds."""

    label: str
    shortest_s: float
    median_s: float
    longest_s: float


def columns(title: str, stacks: Sequence[StackedBar]) -> Element:
    """Draw upright columns, one for each item of a sequence such as days."""
    top = _nice(max((sum(stack.parts) for stack in stacks), default=0))
    steps = [top * step / GRID_LINES for step in range(GRID_LINES + 1)] if top else [0.0]
    drawn = [_line(step, top) for step in steps]
    width = (100 - GUTTER) / max(1, len(stacks))
    for at, stack in enumerate(stacks):
        floor = 0.0
        parts = []
        for number, part in enumerate(stack.parts):
            height = _height(part, top)
            y = HEAD_PX + PLOT_PX - _height(floor, top) - height
            x = GUTTER + width * (at + (1 - SHARE_OF_COLUMN) / 2)
            parts.append(_rect(f"{x:.3f}%", y, f"{width * SHARE_OF_COLUMN:.3f}%", height, f"part{number}"))
            floor += part
        drawn.append(element("g", element("title", f"{stack.label}: {stack.words}"), *parts))
    for step in steps:
        y = HEAD_PX + PLOT_PX - _height(step, top) + 4
        drawn.append(_words(f"{GUTTER - 1.5}%", y, compact(step), "end", "axis"))
    for at in _labelled(len(stacks)):
        # The labels of the outer columns are wider than the columns if there are many.
        x, anchor = GUTTER + width * (at + 0.5), "middle"
        if len(stacks) > MOST_LABELS and at in (0, len(stacks) - 1):
            x, anchor = (GUTTER, "start") if at == 0 else (100, "end")
        drawn.append(_words(f"{x:g}%", HEAD_PX + PLOT_PX + FOOT_PX - 6, stacks[at].label, anchor, "axis"))
    return _picture(title, HEAD_PX + PLOT_PX + FOOT_PX, drawn)


def bars(title: str, stacks: Sequence[StackedBar]) -> Element:
    """Draw horizontal bars one below the other, each under its label."""
    longest = max((sum(stack.parts) for stack in stacks), default=0)
    drawn = []
    for at, stack in enumerate(stacks):
        y = at * ROW_PX
        parts = [_rect("0%", y + 22, "100%", 12, "track")]
        x = 0.0
        for number, part in enumerate(stack.parts):
            width = 100 * part / longest if longest else 0
            parts.append(_rect(f"{x:.3f}%", y + 22, f"{width:.3f}%", 12, f"part{number}"))
            x += width
        drawn.append(_row(y, stack.label, stack.words, parts))
    return _picture(title, ROW_PX * len(stacks), drawn)


def spans(title: str, rows: Sequence[RangeBar]) -> Element:
    """Draw lines from the shortest to the longest time with a dot at the median, on one logarithmic scale."""
    low = math.log10(max(0.001, min(row.shortest_s for row in rows)))
    high = math.log10(max(0.001, *(row.longest_s for row in rows)))
    low, high = (low, high) if high - low >= 1 else ((low + high) / 2 - 0.5, (low + high) / 2 + 0.5)

    def place(seconds: float) -> float:
        return 2 + 96 * (math.log10(max(0.001, seconds)) - low) / (high - low)

    foot = ROW_PX * len(rows)
    drawn = []
    for tick in _ticks([tick for tick in TICKS_S if 4 <= place(tick) <= 96]):
        x = f"{place(tick):.3f}%"
        drawn.append(element("line", x1=x, x2=x, y1=0, y2=foot, class_="grid"))
        drawn.append(_words(x, foot + FOOT_PX - 6, duration(tick), "middle", "axis"))
    for at, row in enumerate(rows):
        y = at * ROW_PX
        begin, middle, end = (f"{place(one):.3f}%" for one in (row.shortest_s, row.median_s, row.longest_s))
        line = element("line", x1=begin, x2=end, y1=y + 28, y2=y + 28, class_="span")
        dot = element("circle", cx=middle, cy=y + 28, r=6, class_="dot")
        drawn.append(_row(y, row.label, duration(row.median_s), [line, dot]))
    return _picture(title, foot + FOOT_PX, drawn)


def _picture(title: str, height: float, drawn: Sequence[Element]) -> Element:
    return element(
        "svg", element("title", title), *drawn, role="img", aria_label=title, width="100%", height=f"{height:g}"
    )


def _row(y: float, label: str, words: str, drawn: Sequence[Element]) -> Element:
    heading = [_words("0%", y + 14, shortened(label), "start", "label"), _words("100%", y + 14, words, "end", "value")]
    return element("g", element("title", f"{label}: {words}"), *drawn, *heading)


def _line(value: float, top: float) -> Element:
    y = f"{HEAD_PX + PLOT_PX - _height(value, top):g}"
    return element("line", x1=f"{GUTTER}%", x2="100%", y1=y, y2=y, class_="grid" if value else "base")


def _height(value: float, top: float) -> float:
    return PLOT_PX * value / top if top else 0.0


def _rect(x: str, y: float, width: str, height: float, kind: str) -> Element:
    return element("rect", x=x, y=f"{y:.2f}", width=width, height=f"{height:.2f}", rx=2, class_=kind)


def _words(x: str, y: float, text: str, anchor: str, kind: str) -> Element:
    return element("text", text, x=x, y=f"{y:g}", text_anchor=anchor, class_=kind)


def _nice(value: float) -> float:
    """Return the next number that divides well into thirds: 3, 6, 9, 15 or 30 times a power of ten."""
    if value <= 0:
        return 0
    power = 10.0 ** math.floor(math.log10(value / 3))
    return next(nice * power for nice in (3, 6, 9, 15, 30, 60) if nice * power >= value)


def _labelled(count: int) -> Sequence[int]:
    return range(count) if count <= MOST_LABELS else (0, count // 2, count - 1)


def _ticks(fitting: Sequence[float]) -> Sequence[float]:
    step = max(1, math.ceil(len(fitting) / MOST_TICKS))
    return fitting[::step]
