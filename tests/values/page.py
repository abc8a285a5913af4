"""Documentation page with the extreme values of every type, made of the stores' contents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.verify.json_value import format_json, parsed
from tests.support.checkout import CHECKOUT
from tests.values.extremes import COLUMNS

PAGE = CHECKOUT / "docs" / "reference" / "values.md"
_LONGEST_SHOWN = 60
_MARK = "<!-- Made by tests/integration/test_values.py; what is above is written by hand. -->"


def page(
    printed: Mapping[str, Mapping[str, str | None]],
    found: Mapping[str, Mapping[str, str]],
    special: Mapping[str, Mapping[str, Any]],
) -> str:
    """Return the page: the part above the marker unchanged, and below it a line for every value."""
    above = PAGE.read_text().partition(_MARK)[0] if PAGE.exists() else ""
    rows = {model: {key: parsed(text) for key, text in texts.items()} for model, texts in found.items()}
    lines = [_MARK, "", "| Type | In PostgreSQL | Elasticsearch | Redis | DuckDB |", "| --- | --- | --- | --- | --- |"]
    for name, text in COLUMNS.items():
        for key in sorted(printed, key=int):
            value = printed[key][name]
            if name == "id" or value is None:
                continue
            cells = [_cell(value), *(_cell(_shown(rows[model][key], name)) for model in ("elasticsearch", "redis"))]
            beside = special[key].get(name)
            table = _cell(_shown(rows["duckdb"][key], name))
            table += f", beside it {_cell(_text(beside))}" if beside is not None else ""
            lines.append(f"| {text} | {' | '.join(cells)} | {table} |")
    return above + "\n".join(lines) + "\n"


def _shown(row: Mapping[str, Any], name: str) -> str:
    return _text(row[name])


def _text(value: Any) -> str:
    return format_json(value)


def _cell(text: str) -> str:
    text = text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"
    escaped = text.encode("unicode_escape").decode().replace("\\\\", "\\")
    return f"`` {escaped.replace('|', chr(92) + '|')} ``"
