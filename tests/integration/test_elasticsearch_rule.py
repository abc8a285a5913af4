"""Tests of the ordering rule in Elasticsearch: the table of cases, before, around and after their range tombstones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby, zip_longest

import pytest

from sinks.batch import Batch, Mutations
from sinks.elasticsearch.store import ElasticsearchSink
from sinks.shape import ROOT, DocumentShape, tombstone_scope
from stack.endpoints import Endpoints
from tests.contract.elasticsearch_harness import ElasticsearchSubject
from tests.contract.redis_changes import PartChange, table
from tests.unit.sinks.ordering.cases import CASES, Case, Side, Sided

SHAPE = DocumentShape("orders", {"id": "text"}, {})
GROUPS = [
    [*cases]
    for _, cases in groupby(
        sorted(CASES, key=lambda case: repr(case.range_tombstones)), lambda case: case.range_tombstones
    )
]


@pytest.fixture(scope="module")
def subject(endpoints: Endpoints) -> Iterator[ElasticsearchSubject]:
    """Yield indices of this module's own; each test has a generation."""
    made = ElasticsearchSubject(endpoints.elasticsearch)
    yield made
    made.close()


@pytest.mark.parametrize("cases", GROUPS, ids=lambda cases: f"{cases[0].name} (and {len(cases) - 1} others)")
def test_every_row_is_as_in_its_case_whenever_range_tombstones_arrive(
    subject: ElasticsearchSubject, cases: list[Case]
) -> None:
    store, generation = subject.store([SHAPE]), GROUPS.index(cases) + 1
    sink = store.sink(generation)
    sink.prepare()
    workers = (sink, store.sink(generation))
    write_in_turn(workers, [(f"early {n}", case.changes) for n, case in enumerate(cases)])
    write_in_turn(workers, [(f"around {n}", case.changes[:1]) for n, case in enumerate(cases)])
    sink.write(
        Batch(
            range_tombstones=tuple(
                replace(range_tombstone, scope=tombstone_scope(SHAPE.name, ROOT))
                for range_tombstone in cases[0].range_tombstones
            )
        )
    )
    write_in_turn(workers, [(f"around {n}", case.changes[1:]) for n, case in enumerate(cases)])
    write_in_turn(workers, [(f"late {n}", case.changes[::-1]) for n, case in enumerate(cases)])
    sink.cutover()
    shown = {key: content["id"] for key, content in subject.read([SHAPE])["orders"].items()}
    kept = registers(subject, generation)
    for n, case in enumerate(cases):
        for when in ("early", "around", "late"):
            key = f"{when} {n}"
            assert (shown.get(key), sides(kept[key])) == (case.shown, set(case.kept)), f"{when}: {case.name}"


def write_in_turn(workers: Iterable[ElasticsearchSink], rows: Sequence[tuple[str, Sequence[Sided]]]) -> None:
    """Write every row's first change, then every row's second, and so on; each worker writes every turn."""
    for turn in zip_longest(*(changes for _, changes in rows)):
        mine = [(key, sided) for (key, _), sided in zip(rows, turn, strict=True) if sided is not None]
        for worker in workers:
            worker.write(Batch((Mutations(SHAPE.name, table(placed(mine))),)))


def placed(rows: Iterable[tuple[str, Sided]]) -> Iterator[PartChange]:
    for key, (side, change) in rows:
        image = None if change.image is None else f'{{"id":"{change.image}"}}'
        yield PartChange(key, ROOT, side is Side.SNAPSHOT, change._replace(image=image))


def registers(subject: ElasticsearchSubject, generation: int) -> dict[str, str]:
    """Return the register of every row, as text."""
    found = subject.http("POST", f"orders-{generation:06d}/_search?size=1000")["hits"]["hits"]
    return {hit["_id"]: dict(hit["_source"]["readmodels"].get("registers", [])).get(ROOT, "") for hit in found}


def sides(register: str) -> set[Side]:
    streamed, _, snapshot = register.partition("|")
    return {side for side, text in ((Side.STREAMED, streamed), (Side.SNAPSHOT, snapshot)) if text}
