"""Plan of a replay: feasibility, records to read, duration and disk space."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import structlog

from connectors.kafka import end_offsets
from connectors.topics import Topic, describe
from pipeline import read_models
from pipeline.config import Settings
from pipeline.generations.disk_space import DiskSpace, disk_space
from pipeline.generations.earlier_columns import Earlier, earlier, noting
from pipeline.generations.readable import readable_generations
from pipeline.generations.rebuild_target import RebuildTarget, choose_target
from pipeline.ingest.epoch_history import NO_EPOCHS, EpochHistory
from pipeline.log_scan.assessment import Assessment, assess, scopes_of
from pipeline.log_scan.finding import FindingReason, LogFinding
from pipeline.log_scan.scan import LogScan, ScanWatcher, scan_log
from sinks.batch import Offsets
from sinks.epoch import Epoch
from sinks.errors import SinkError

log = structlog.get_logger()


@dataclass(frozen=True)
class RebuildPlan:
    """Plan for the replay of one model.

    Args:
        live: the generation that is live now and stays live during the replay.
        where: the generation that would be filled.
        assessment: of the log; empty if the log is not read from its beginning.
        takes_s: estimate by the speed of the last timed replay; None if none was timed.
        epochs: epochs of the log.
        problems: damaged or missing generations of the model. The replay does not need them.
    """

    model: str
    live: int | None
    where: RebuildTarget
    assessment: Assessment
    space: DiskSpace
    takes_s: float | None
    epochs: tuple[Epoch, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def findings(self) -> tuple[LogFinding, ...]:
        """Findings about the log, the space, and the existing generations."""
        broken = [LogFinding(FindingReason.GENERATION_BROKEN, f"{self.model}: {problem}") for problem in self.problems]
        return (*self.assessment.findings, *self.space.findings(), *broken)

    @property
    def is_refused(self) -> bool:
        """True if a finding prevents the replay."""
        return any(finding.is_fatal for finding in self.findings)


@dataclass(frozen=True)
class PlanInputs:
    """Inputs that the plans of all models share.

    Args:
        scan: of the log; None if the log is not read from its beginning.
        topics: by name; empty if the log is not read from its beginning.
        ends: end offsets of the log, if a snapshot replaces its records.
        earlier: values of the columns that earlier records lack.
        epochs: epochs of the log, from the generation that records the most of them.
    """

    scan: LogScan | None
    topics: Mapping[str, Topic] = field(default_factory=dict)
    ends: Offsets = field(default_factory=dict)
    epochs: tuple[Epoch, ...] = ()
    earlier: Earlier = field(default_factory=Earlier)


def scan_for_plan(
    settings: Settings, watcher: ScanWatcher, epoch_history: EpochHistory, *, is_from_snapshot: bool
) -> PlanInputs:
    """Read the log once, unless a snapshot replaces it.

    Args:
        epoch_history: the epochs of the log.

    Raises:
        KafkaUnavailable, RegistryUnavailable: the brokers or the schema registry do not answer.
    """
    admin = settings.kafka.admin()
    if is_from_snapshot:
        ends = end_offsets(admin, settings.definitions.topics)
        return PlanInputs(None, ends=ends, epochs=epoch_history.epochs, earlier=earlier(settings, None))
    described = describe(admin, settings.definitions.topics)
    found = scan_log(settings, watcher, epoch_history)
    return PlanInputs(found, described, epochs=epoch_history.epochs, earlier=earlier(settings, found))


def epochs_of_log(models: Iterable[str], settings: Settings) -> EpochHistory:
    """Return the epochs of the log, from the live generation that records the most of them.

    If no generation of these models records any, the other models are read.

    Raises:
        SinkError: a store does not answer.
    """
    chosen = list(models)
    known = [epoch_history for model in chosen if (epoch_history := _known_by(model, settings)).epochs]
    for model in read_models.READ_MODELS if not known else ():
        try:
            known += [_known_by(model, settings)] if model not in chosen else []
        except SinkError as error:
            log.warning("reading epochs failed", model=model, reason=str(error))
    return max(known, key=lambda epoch_history: epoch_history.number, default=NO_EPOCHS)


def _known_by(model: str, settings: Settings) -> EpochHistory:
    with read_models.open_store(model, settings) as store:
        return EpochHistory(readable_generations(store).alive.epochs)


def plan_rebuild(model: str, settings: Settings, ground: PlanInputs, *, starts_over: bool) -> RebuildPlan:
    """Plan the replay of one model.

    Raises:
        SinkError: its store does not answer.
    """
    with read_models.open_store(model, settings) as store:
        found = readable_generations(store)
    live, generations, alive = found.live, found.generations, found.alive
    epochs = alive.epochs or ground.epochs
    noted = noting(settings, ground.earlier.values, {})
    wanted = replace(read_models.new_metadata(model, noted), is_complete=False, seed_offsets=ground.ends)
    recorded = (*alive.fences, *(range_tombstone for epoch in epochs for range_tombstone in epoch.fences))
    scopes, epoch = scopes_of(wanted.shapes), EpochHistory(epochs).ordering_epoch
    assessment = assess(ground.scan, ground.topics, scopes, recorded, epoch) if ground.scan else Assessment(())
    assessment = replace(assessment, findings=(*assessment.findings, *ground.earlier.findings))
    speeds = [record.filled_per_s for record in generations.values() if record.filled_per_s]
    offsets = sum(ground.scan.ends.values()) if ground.scan else 0
    return RebuildPlan(
        model,
        live,
        choose_target(generations, live, wanted, starts_over=starts_over),
        assessment,
        disk_space(model, settings),
        offsets / speeds[-1] if speeds and offsets else None,
        epochs,
        found.problems,
    )
