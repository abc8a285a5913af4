"""Checks of a deployment's health, in one list.

A check reads one thing and yields a problem for everything that is wrong with it. To add a check, write a function and
enter it in one of the two lists below. A check reads shared facts from the observation, and a fact that only it needs
by itself. A check that raises could not read its facts; that is a problem too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from datetime import UTC, datetime

from connectors.kafka_connect import ConnectorFailed
from pipeline import read_models
from pipeline.crash_report import FAULT_REMEDY, describe_error, is_expected
from pipeline.health.observation import Observation
from pipeline.health.problem import Problem
from pipeline.postgres.database import connect
from pipeline.postgres.source_check import check_source, source_findings
from pipeline.postgres.source_history import SourceHistory
from pipeline.runtime.heartbeat import WorkerState
from pipeline.runtime.worker_pool import LiveGenerationGone
from pipeline.setup.snapshots import read_snapshots, snapshot_findings
from pipeline.setup.source import deployment_of
from sinks.errors import GenerationMissing
from sinks.rejection import REMEDY

Check = Callable[[Observation], Iterable[Problem]]
ModelCheck = Callable[[Observation, str], Iterable[Problem]]

NAMED_REJECTIONS = 5


def connector_runs(observation: Observation) -> Iterator[Problem]:
    """Find a connector or a connector task that is not running."""
    status = observation.connector.result()
    if status.is_running:
        return
    if status.has_failed:
        remedy = ConnectorFailed.remedy
    else:
        remedy = "Run `readmodels init`: it resumes the connector, and waits until it runs."
    yield Problem("connector", str(status), remedy)


def slot_is_read(observation: Observation) -> Iterator[Problem]:
    """Find a missing slot, or one without a reader: PostgreSQL keeps its WAL, and no change reaches Kafka."""
    slot, name = observation.slot.result(), observation.settings.connector.slot
    if slot is None:
        remedy = "Run `readmodels init`: it prints a remedy if the connector has already read from the slot."
        yield Problem("slot", f"slot {name} does not exist", remedy)
    elif not slot.is_active:
        remedy = "Run `readmodels init`: it resumes the connector, or prints why that is not possible."
        yield Problem("slot", f"no connector reads slot {name}: no change reaches Kafka", remedy)


def source_is_whole(observation: Observation) -> Iterator[Problem]:
    """Find causes that make the log incomplete or wrong, now or since the epoch began."""
    settings = observation.settings
    capture, history = deployment_of(settings).capture, SourceHistory(settings.kafka, settings.connector.name)
    with closing(connect(settings.source.url)) as connection:
        look = check_source(connection, capture)
    for finding in source_findings(look, history.read(), capture):
        yield Problem("source", finding.problem, finding.remedy)


def tables_are_snapshotted(observation: Observation) -> Iterator[Problem]:
    """Find captured tables without a snapshot, and a snapshot that has not ended."""
    settings = observation.settings
    for finding in snapshot_findings(read_snapshots(settings), settings):
        yield Problem("snapshot", finding.problem, finding.remedy)


def generation_is_live(observation: Observation, model: str) -> Iterator[Problem]:
    """Find a model without a live generation."""
    found = observation.generations[model].result()
    if found.live is None:
        yield Problem(model, "no generation is live", GenerationMissing.remedy)
    elif found.live not in found.all:
        yield Problem(model, f"generation {found.live} is live, but does not exist", LiveGenerationGone.remedy)


def generation_is_filled(observation: Observation, model: str) -> Iterator[Problem]:
    """Find a model whose first fill is not complete, so that readers do not find all rows yet."""
    found = observation.generations[model].result()
    if found.is_building:
        lag = observation.lag[model].result()
        problem = (
            f"generation {found.live} is building: it holds {lag.progress:.0%} of the log so far, and readers find what"
            " was written some seconds ago"
        )
        remedy = "Wait. The generation is complete once the connector's snapshot has ended and a worker has applied it."
        yield Problem(model, problem, remedy)


def changes_are_applied(observation: Observation, model: str) -> Iterator[Problem]:
    """Find a model that exceeds its staleness limit, and one whose workers run but do not apply pending changes.

    The watchdog ends a worker that writes one batch for longer than its budget. If changes wait for longer than the
    budget and no batch was written meanwhile, there is another cause.
    """
    if observation.generations[model].result().live is None:
        return
    staleness_s, limit_s = observation.lag[model].result().staleness_s, observation.max_staleness_s
    if limit_s is not None and staleness_s > limit_s:
        problem = f"a change has waited for {staleness_s:,.0f} s, longer than {limit_s:g} s"
        yield Problem(model, problem, "Nothing to do if no other problem is reported: the worker catches up.")
    control = observation.control.result()
    budget_s = read_models.READ_MODELS[model].call_budget_s(observation.settings)
    working = [worker.last for worker in control.of(model) if worker.last.state is WorkerState.WORKING]
    moved_at = max((max(filter(None, (last.applied_at, last.since))) for last in working), default=None)
    if moved_at is None or staleness_s < budget_s:
        return
    rest_s = (datetime.now(UTC) - moved_at).total_seconds()
    if rest_s > budget_s:
        problem = f"changes wait for {staleness_s:,.0f} s, and its worker has applied none for {rest_s:,.0f} s"
        yield Problem(model, problem, f"Stop its `readmodels run` and start it again: `readmodels run {model}`.")


def worker_runs(observation: Observation, model: str) -> Iterator[Problem]:
    """Find a worker that stopped, waits or is missing, and a model that no worker keeps current."""
    workers = observation.control.result().of(model)
    for worker in workers:
        last, reason = worker.last, worker.last.reason
        if worker.is_missing:
            problem = f"its worker ({worker.place}) is missing: silent for {worker.silent_s:,.0f} s, then {last.state}"
            yield Problem(
                model,
                problem,
                f"Run `readmodels run {model}`. If the process still runs, check that its host reaches the brokers of "
                "`kafka.bootstrap_servers`.",
            )
        elif reason is not None and last.state is WorkerState.RESTARTING:
            problem = f"its worker ({worker.place}) ended at {_utc(last.since)} and will be restarted: {reason.message}"
            yield Problem(model, problem, reason.remedy)
        elif reason is not None and last.state is WorkerState.STOPPED:
            problem = f"its worker ({worker.place}) stopped at {_utc(last.since)}: {reason.message}"
            yield Problem(model, problem, f"{reason.remedy} Then start it again: `readmodels run {model}`.")
        elif reason is not None and last.state is not WorkerState.STANDBY:
            waited = f"has been waiting since {_utc(last.since)}"
            problem = f"its worker ({worker.place}) {waited}: {reason.action}: {reason.message}"
            yield Problem(model, problem, reason.remedy)
        for generation, stopped in last.stopped_generations.items() if worker.is_running else ():
            problem = f"generation {generation} is not kept current: {stopped.message}"
            yield Problem(model, problem, stopped.remedy)
    running = [worker for worker in workers if worker.is_running]
    fed = {generation for worker in running for generation in worker.last.generations}
    if not running and not workers:
        yield Problem(model, "no worker runs", f"Start it: `readmodels run {model}`.")
    elif running and not fed and not any(worker.last.state is WorkerState.WAITING for worker in running):
        states = ", ".join(f"{worker.place}, is {worker.last.state}" for worker in running)
        remedy = "Nothing to do: the worker starts once it has its store and its partitions. Any obstacle is reported."
        yield Problem(model, f"no worker applies changes: {states}", remedy)
    elif fed and (live := observation.generations[model].result().live) is not None and live not in fed:
        yield Problem(
            model, f"no worker updates generation {live}, which is live", f"Start it again: `readmodels run {model}`."
        )


def model_is_not_paused(observation: Observation, model: str) -> Iterator[Problem]:
    """Find a model whose workers are paused."""
    since = observation.control.result().paused_since.get(model)
    if since is not None:
        yield Problem(model, f"paused since {_utc(since)}", f"Run `readmodels resume {model}`.")


def _utc(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC")


def documents_are_accepted(observation: Observation, model: str) -> Iterator[Problem]:
    """Find documents that the store rejected and that readers therefore do not find."""
    found = observation.generations[model].result().rejections
    if found.count:
        named = "; ".join(f"{one.document} {one.key!r}: {one.reason}" for one in found.first[:NAMED_REJECTIONS])
        problem = f"readers do not find {found.count:,} documents that the store rejected: {named}"
        yield Problem(model, problem, REMEDY.format(model=model))


DEPLOYMENT_CHECKS: tuple[tuple[str, Check], ...] = (
    ("connector", connector_runs),
    ("slot", slot_is_read),
    ("source", source_is_whole),
    ("snapshot", tables_are_snapshotted),
)
"""Checks of the parts that all models share, each with its subject."""

MODEL_CHECKS: tuple[ModelCheck, ...] = (
    generation_is_live,
    generation_is_filled,
    worker_runs,
    model_is_not_paused,
    changes_are_applied,
    documents_are_accepted,
)
"""Checks of each model."""


def find_problems(observation: Observation) -> list[Problem]:
    """Run all checks at the same time and return their problems."""
    carried_out = [
        *(observation.submit(_carry_out, subject, check, observation) for subject, check in DEPLOYMENT_CHECKS),
        *(
            observation.submit(_carry_out, model, check, observation, model)
            for model in observation.models
            for check in MODEL_CHECKS
        ),
    ]
    # One cause may fail several checks of a subject: remove duplicates.
    return list(dict.fromkeys(problem for found in carried_out for problem in found.result()))


def _carry_out(subject: str, check: Callable[..., Iterable[Problem]], *args: object) -> list[Problem]:
    try:
        return list(check(*args))
    except Exception as error:  # noqa: BLE001 - whatever kept a check from looking, nothing is known to be well
        problem = str(error) if is_expected(error) else f"check failed: {describe_error(error)}"
        remedy = getattr(error, "remedy", None) or FAULT_REMEDY
        return [Problem(subject, problem, remedy)]
