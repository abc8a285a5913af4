"""Status of a deployment: its main facts, and every problem that the checks find."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from concurrent.futures import Future
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, TypeVar

from pipeline import read_models
from pipeline.config import Settings
from pipeline.health.checks import find_problems
from pipeline.health.lag import PartitionLag
from pipeline.health.observation import Observation
from pipeline.health.problem import Problem
from pipeline.runtime.workers import KnownWorker

Fact = TypeVar("Fact")


@dataclass(frozen=True)
class ModelStatus:
    """Status of one read model. A fact that could not be read is None.

    Args:
        generation: the generation that readers see.
        is_building: whether it is filled for the first time, so that readers do not find everything yet.
        progress: applied share of the log's offsets, from 0 to 1.
        staleness_s: age of the oldest record that is not applied; zero if there is none.
        paused_since: time at which its workers were asked to pause; None if they were not.
        workers: running workers, and those that stopped or are missing.
    """

    model: str
    generation: int | None = None
    generations: tuple[int, ...] = ()
    is_building: bool | None = None
    progress: float | None = None
    lag_records: int | None = None
    staleness_s: float | None = None
    partitions: tuple[PartitionLag, ...] = ()
    paused_since: datetime | None = None
    workers: tuple[KnownWorker, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Convert to plain data."""
        return {**asdict(self), "workers": [worker.to_json() for worker in self.workers]}


@dataclass(frozen=True)
class Status:
    """Status of a deployment at one moment."""

    connector: Mapping[str, Any]
    slot: Mapping[str, Any]
    models: tuple[ModelStatus, ...]
    problems: tuple[Problem, ...]

    @property
    def is_healthy(self) -> bool:
        """True if every check was run, and none found a problem."""
        return not self.problems

    def to_json(self) -> dict[str, Any]:
        """Convert to plain data. The connector, the slot and each model also contain their own first problem."""
        return {
            "connector": {**self.connector, **self._first_problem_of("connector")},
            "slot": {**self.slot, **self._first_problem_of("slot")},
            "models": [{**model.to_json(), **self._first_problem_of(model.model)} for model in self.models],
            "problems": [asdict(problem) for problem in self.problems],
            "is_healthy": self.is_healthy,
        }

    def _first_problem_of(self, subject: str) -> dict[str, str | None]:
        first = next((one for one in self.problems if one.subject == subject), None)
        return {"problem": first.problem if first else None, "remedy": first.remedy if first else None}


def collect(
    settings: Settings, models: Collection[str] = read_models.READ_MODELS, max_staleness_s: float | None = None
) -> Status:
    """Read the facts and run the checks. A server that does not answer is a problem, not an error.

    Args:
        models: the read models to check.
        max_staleness_s: maximum age of the oldest record that a model has not applied; None for no limit.
    """
    with closing(Observation(settings, models, max_staleness_s)) as observation:
        problems = tuple(find_problems(observation))
        return Status(
            _connector(observation),
            _slot(observation),
            tuple(_model(observation, model) for model in observation.models),
            problems,
        )


def _connector(observation: Observation) -> dict[str, Any]:
    name, status = observation.settings.connector.name, _known(observation.connector)
    return {"name": name, **({"state": status.state, "tasks": [t.state for t in status.tasks]} if status else {})}


def _slot(observation: Observation) -> dict[str, Any]:
    slot = _known(observation.slot)
    return asdict(slot) if slot else {"name": observation.settings.connector.slot}


def _model(observation: Observation, model: str) -> ModelStatus:
    generations, lag = _known(observation.generations[model]), _known(observation.lag[model])
    control = _known(observation.control)
    return ModelStatus(
        model,
        generation=generations.live if generations else None,
        generations=tuple(generations.all) if generations else (),
        is_building=generations.is_building if generations else None,
        progress=lag.progress if lag else None,
        lag_records=lag.lag_records if lag else None,
        staleness_s=lag.staleness_s if lag else None,
        partitions=lag.partitions if lag else (),
        paused_since=control.paused_since.get(model) if control else None,
        workers=tuple(control.of(model)) if control else (),
    )


def _known(fact: Future[Fact]) -> Fact | None:
    """Return a fact, or None if it could not be read. The checks report the failure."""
    return None if fact.exception() else fact.result()
