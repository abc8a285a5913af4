"""Fixtures of the contract suite that every store must pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.contract.duckdb_harness import DuckdbElsewhereSubject, DuckdbSubject
from tests.contract.elasticsearch_harness import ElasticsearchSubject
from tests.contract.memory_harness import MemorySubject
from tests.contract.redis_harness import RedisSubject
from tests.contract.store_harness import Form, Subject
from tests.contract.toy_harness import ToySubject

Make = Callable[[pytest.FixtureRequest], Subject]

SUBJECTS: dict[str, Make] = {
    "memory, documents": lambda _: MemorySubject(Form.DOCUMENTS),
    "memory, rows": lambda _: MemorySubject(Form.ROWS),
    "duckdb": lambda _: DuckdbSubject(),
    "duckdb, elsewhere": lambda _: DuckdbElsewhereSubject(),
    "elasticsearch": lambda request: ElasticsearchSubject(request.getfixturevalue("endpoints").elasticsearch),
    "redis": lambda _: RedisSubject(),
    "toy": lambda _: ToySubject(),
}


@pytest.fixture(params=SUBJECTS)
def subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    """Yield one empty store."""
    made = SUBJECTS[request.param](request)
    yield made
    made.close()
