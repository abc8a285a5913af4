"""The first generation of every read model, and the end of all of them."""

from __future__ import annotations

from collections.abc import Callable

from pipeline import read_models
from pipeline.config import Settings
from pipeline.setup import UNCHANGED, Step
from sinks.sink import Store


def first_generation_steps(settings: Settings) -> list[Step]:
    """A step per model that creates its first generation where it has none."""
    return [_step(model, f"{model} model", settings, _create_first) for model in read_models.MODELS]


def drop_steps(settings: Settings) -> list[Step]:
    """A step per model that removes all of its generations."""
    return [_step(model, f"{model} model", settings, _drop_all) for model in read_models.MODELS]


def _step(model: str, name: str, settings: Settings, act: Callable[[Store], str]) -> Step:
    def carry_out() -> str:
        with read_models.STORES[model](settings) as store:
            return act(store)

    return Step(name, carry_out)


def _create_first(store: Store) -> str:
    live = store.live()
    if live is not None:
        return UNCHANGED
    generation = max(store.generations(), default=1)
    sink = store.sink(generation)
    sink.prepare()
    sink.cutover()
    return f"generation {generation} is live"


def _drop_all(store: Store) -> str:
    dropped = store.generations()
    store.clear()
    return f"dropped {len(dropped)} generation{'' if len(dropped) == 1 else 's'}" if dropped else UNCHANGED
