"""Every store under one contract: a new sink is finished when it passes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.contract.duckdb_subject import DuckdbSubject
from tests.contract.memory_subject import MemorySubject
from tests.contract.redis_subject import RedisSubject
from tests.contract.subject import Form, Subject

SUBJECTS: dict[str, Callable[[], Subject]] = {
    "memory, documents": lambda: MemorySubject(Form.DOCUMENTS),
    "memory, rows": lambda: MemorySubject(Form.ROWS),
    "duckdb": DuckdbSubject,
    "redis": RedisSubject,
}


@pytest.fixture(params=SUBJECTS)
def subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    """One store, empty."""
    made = SUBJECTS[request.param]()
    yield made
    made.close()
