"""Documentation page with the results of all cycles."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from math import ceil
from pathlib import Path
from statistics import median

from tests.chaos.record import Seen

TEXT = Path(__file__).with_name("page.md")


def page(cycles: Sequence[Seen]) -> str:
    """Return the page: its fixed text, and the figures."""
    return TEXT.read_text().replace("<!-- figures -->", "\n".join(_figures(cycles)))


def _figures(cycles: Sequence[Seen]) -> Iterator[str]:
    yield from _summary(cycles)
    yield ""
    yield "Seconds from the end of a cycle's last fault until everything that was committed was there:"
    yield ""
    yield from _times(cycles)
    yield ""
    yield "How often what was hit:"
    yield ""
    yield from _faults(cycles)
    yield ""
    yield "## What each difference was"
    yield ""
    yield from _differences(cycles)


def _summary(cycles: Sequence[Seen]) -> Iterator[str]:
    seeds = Counter(seen.seed for seen in cycles)
    told = ", ".join(f"{seed} ({count})" for seed, count in seeds.items())
    yield from _table(
        ("", ""),
        [
            ("Cycles, by seed", f"{len(cycles)}: {told}"),
            ("Between", f"{cycles[0].at[:10]} and {cycles[-1].at[:10]}" if cycles else "–"),
            ("Faults", sum(len(seen.faults) for seen in cycles)),
            ("Changes in the log", f"{sum(seen.records for seen in cycles):,}"),
            ("of which the connector wrote again", f"{sum(seen.repeated for seen in cycles):,}"),
            ("Questions of readers that were answered", f"{sum(seen.answers for seen in cycles):,}"),
            ("and that met a store which was down", f"{sum(seen.failures for seen in cycles):,}"),
            ("**Models against fold(log): differences**", _count(seen.in_models for seen in cycles)),
            ("**Log against PostgreSQL: differences**", _count(seen.in_log for seen in cycles)),
            ("**Versions that went back for a reader**", _count(seen.gone_back for seen in cycles)),
            ("Workers that stopped for good", _count(seen.stopped for seen in cycles)),
            ("Workers that the watchdog ended", sum(seen.hung_calls for seen in cycles)),
            ("Restarts of a connector that had failed for good", sum(seen.operator_restarts for seen in cycles)),
        ],
    )


def _times(cycles: Sequence[Seen]) -> Iterator[str]:
    rows = []
    for name in ("log", "elasticsearch", "redis", "duckdb"):
        rows.append((name, *_spread([seen.took_s[name] for seen in cycles])))
    rows.append(("all of it", *_spread([max(seen.took_s.values()) for seen in cycles])))
    yield from _table(("", "median", "95 %", "max"), rows)


def _spread(values: Sequence[float]) -> tuple[str, ...]:
    if not values:
        return ("–", "–", "–")
    ordered = sorted(values)
    return tuple(f"{value:.1f}" for value in (median(ordered), ordered[ceil(len(ordered) * 0.95) - 1], ordered[-1]))


def _faults(cycles: Sequence[Seen]) -> Iterator[str]:
    met: Counter[tuple[str, str]] = Counter()
    for told in chain.from_iterable(seen.faults for seen in cycles):
        target, _, kind = told.partition(": ")
        met[_target(target), kind] += 1
    kinds = sorted({kind for _, kind in met})
    targets = sorted({target for target, _ in met})
    rows = [(target, *(met[target, kind] or "" for kind in kinds)) for target in targets]
    yield from _table(("", *kinds), rows)


def _target(told: str) -> str:
    """Return the target without the name of its set of workers."""
    words = told.split()
    return {"worker": f"worker of {words[1]}", "run": "`run` itself"}.get(words[0], told) if words[1:] else told


def _differences(cycles: Sequence[Seen]) -> Iterator[str]:
    found = False
    for seen in cycles:
        for title, lines in (
            ("models", seen.in_models),
            ("log", seen.in_log),
            ("gone back", seen.gone_back),
            ("stopped", seen.stopped),
        ):
            for line in lines:
                found = True
                yield f"- cycle {seen.seed}/{seen.number} ({'; '.join(seen.faults)}), {title}: {line}"
    if not found:
        yield "There was none."


def _count(differences: Iterable[Sequence[str]]) -> str:
    return f"**{sum(map(len, differences))}**"


def _table(head: Sequence[object], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    yield f"| {' | '.join(map(str, head))} |"
    yield f"|{' --- |' + ' ---: |' * (len(head) - 1)}"
    for row in rows:
        yield f"| {' | '.join(map(str, row))} |"
