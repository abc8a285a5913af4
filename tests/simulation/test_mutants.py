"""Tests that the simulation detects every deliberate fault in the production code."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from unittest.mock import patch

import pytest

from sinks.redis.errors import UnsupportedServer
from tests.simulation.mutants import BROKEN, Broken
from tests.simulation.redis_model import RedisSide
from tests.simulation.simulation import SIDES, Failed, simulate
from tests.simulation.store_model import Hazard
from tests.simulation.world import World

SEEDS = range(240)


def first_failure(model: str) -> Failed | None:
    """Return the failure of the first failing seed."""
    for seed in SEEDS:
        try:
            simulate(model, seed)
        except Failed as failure:
            return failure
    return None


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: f"{broken.model}: {broken.name}")
def test_every_mutant_fails_with_some_seed(broken: Broken) -> None:
    with ExitStack() as pieces:
        for piece in broken.pieces:
            pieces.enter_context(piece())
        assert first_failure(broken.model) is not None


class Evicting(RedisSide):
    """A Redis that evicts registers when its memory is short."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.server.policy = "allkeys-lru"

    def hazards(self) -> Mapping[str, Hazard]:
        return {**super().hazards(), "keys are evicted": self._evict}

    def _evict(self) -> None:
        for key in [key for key in self.server.live if key.endswith(b"}:r")]:
            self.server.evict(key)


def test_a_redis_that_evicts_keys_is_not_written() -> None:
    with patch.dict(SIDES, redis=Evicting), pytest.raises(Failed, match=UnsupportedServer.__name__):
        simulate("redis", SEEDS[0])


def test_a_redis_that_evicts_keys_would_lose_versions() -> None:
    with patch.dict(SIDES, redis=Evicting), patch("sinks.redis.store.check_server", lambda _: []):
        assert "a register went back" in str(first_failure("redis"))
