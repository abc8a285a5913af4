"""Checks: the one list of what makes a deployment healthy.

A check looks at one thing and yields a problem for everything that is wrong with it. To add one, write a function and
enter it in one of the two lists below. A check reads shared facts from the observation; a fact that it alone needs it
reads itself. A check that raises could not look, and that is a problem too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from connectors.connect import ConnectorFailed
from pipeline.health.observation import Observation
from pipeline.health.problem import Problem
from sinks.errors import GenerationMissing

Check = Callable[[Observation], Iterable[Problem]]
ModelCheck = Callable[[Observation, str], Iterable[Problem]]

NO_REMEDY = "Look at the log of the server that is named; `readmodels status` shows whether it answers again."


def connector_runs(observation: Observation) -> Iterator[Problem]:
    """Find a connector that is not running, or a task of it."""
    status = observation.connector.result()
    if status.is_running:
        return
    if status.has_failed:
        remedy = ConnectorFailed.remedy
    elif status.is_at_rest:
        remedy = "Run `readmodels init`: it resumes the connector."
    else:
        remedy = "Wait until Kafka Connect has started it. If it does not, read Kafka Connect's log."
    yield Problem("connector", str(status), remedy)


def slot_is_read(observation: Observation) -> Iterator[Problem]:
    """Find a slot that is missing, or that nobody reads: PostgreSQL keeps its WAL, and no change reaches Kafka."""
    slot, name = observation.slot.result(), observation.settings.connector.slot
    if slot is None:
        remedy = "Run `readmodels init`: it says what to do if the connector had already read from the slot."
        yield Problem("slot", f"slot {name} does not exist", remedy)
    elif not slot.is_active:
        remedy = "Run `readmodels init`: it resumes the connector, or says why it cannot."
        yield Problem("slot", f"nobody reads slot {name}: no change reaches Kafka", remedy)


def generation_is_live(observation: Observation, model: str) -> Iterator[Problem]:
    """Find a model that readers cannot see."""
    found = observation.generations[model].result()
    if found.live is None:
        yield Problem(model, "no generation is live", GenerationMissing.remedy)
    elif found.live not in found.all:
        yield Problem(model, f"generation {found.live} is live, and gone", GenerationMissing.remedy)


def changes_are_applied(observation: Observation, model: str) -> Iterator[Problem]:
    """Find a model that is staler than it may be."""
    if observation.generations[model].result().live is None:
        return
    staleness_s, limit_s = observation.lag[model].result().staleness_s, observation.max_staleness_s
    if limit_s is not None and staleness_s > limit_s:
        problem = f"a change has waited for {staleness_s:,.0f} s, longer than {limit_s:g} s"
        yield Problem(model, problem, "Carry out the other remedies. If there are none, wait: its worker catches up.")


DEPLOYMENT_CHECKS: tuple[tuple[str, Check], ...] = (
    ("connector", connector_runs),
    ("slot", slot_is_read),
)
"""Checks of what all models share, each with its subject."""

MODEL_CHECKS: tuple[ModelCheck, ...] = (
    generation_is_live,
    changes_are_applied,
)
"""Checks of each model."""


def find_problems(observation: Observation) -> list[Problem]:
    """Carry out every check, all at the same time."""
    carried_out = [
        *(observation.submit(_carry_out, subject, check, observation) for subject, check in DEPLOYMENT_CHECKS),
        *(
            observation.submit(_carry_out, model, check, observation, model)
            for model in observation.models
            for check in MODEL_CHECKS
        ),
    ]
    # One cause may keep several checks of a subject from looking.
    return list(dict.fromkeys(problem for found in carried_out for problem in found.result()))


def _carry_out(subject: str, check: Callable[..., Iterable[Problem]], *args: object) -> list[Problem]:
    try:
        return list(check(*args))
    except Exception as error:  # noqa: BLE001 - whatever kept a check from looking, nothing is known to be well
        return [Problem(subject, *explained(error))]


def explained(error: Exception) -> tuple[str, str]:
    """Say what kept a check from looking, and what to do about it."""
    remedy = getattr(error, "remedy", None)
    return (str(error), remedy) if remedy else (f"not looked at: {type(error).__name__}: {error}", NO_REMEDY)
