"""Runner of a seed against a model, with the command that runs it again."""

from __future__ import annotations

from collections.abc import Callable

from tests.simulation.duckdb_model import DuckdbSide
from tests.simulation.elasticsearch_model import ElasticsearchSide
from tests.simulation.redis_model import RedisSide
from tests.simulation.world import MakeSide, Outcome, World

SIDES: dict[str, MakeSide] = {"elasticsearch": ElasticsearchSide, "redis": RedisSide, "duckdb": DuckdbSide}


class Failed(AssertionError):
    """A simulated history failed."""

    def __init__(self, model: str, seed: int, reason: BaseException) -> None:
        super().__init__(
            f"{model} fails with seed {seed}: {type(reason).__name__}: {reason}\n"
            f"run it again: python -m tests.simulation {model} --first {seed} --seeds 1 --trace"
        )


def simulate(model: str, seed: int, trace: Callable[[str], None] | None = None) -> Outcome:
    """Run one simulated history.

    Args:
        seed: determines everything, if the hashes of strings are the same in each process.
        trace: called with each line of the simulation's log.

    Raises:
        Failed: an invariant was violated, a worker stopped, or the simulation did not end.
    """
    try:
        return World(seed, SIDES[model], trace).run()
    except Exception as reason:
        raise Failed(model, seed, reason) from reason
