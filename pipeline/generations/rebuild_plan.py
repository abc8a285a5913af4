"""What a replay would do: whether it can be done, what it reads, how long it takes and how much space."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import structlog

from connectors.kafka import end_offsets
from connectors.topics import Topic, describe
from pipeline import read_models
from pipeline.config import Settings
from pipeline.generations.disk_space import Space, space
from pipeline.generations.earlier_columns import Earlier, earlier, noting
from pipeline.generations.readable import present
from pipeline.generations.rebuild_target import Beginning, beginning
from pipeline.ingest.epoch_history import NO_LIVES, Lives
from pipeline.log_scan.assessment import Judgement, judge, scopes_of
from pipeline.log_scan.finding import Finding, Reason
from pipeline.log_scan.scan import Survey, SurveyWatcher, survey
from pipeline.postgres.watermark import Offsets
from sinks.epoch import Epoch
from sinks.errors import SinkError

log = structlog.get_logger()


@dataclass(frozen=True)
class Plan:
    """The replay of one model.

    Args:
        live: the generation that readers see, which goes on.
        where: the one that would be filled.
        judgement: of the log; empty where it is not read from its beginning.
        takes_s: about how long, by the speed of the last replay on record; None where none was timed.
        epochs: those of the log.
        problems: what of the model is damaged or gone; the replay does not need it.
    """

    model: str
    live: int | None
    where: Beginning
    judgement: Judgement
    space: Space
    takes_s: float | None
    epochs: tuple[Epoch, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Everything that was found: of the log, of the space, and of the generations that are there."""
        broken = [Finding(Reason.GENERATION_BROKEN, f"{self.model}: {problem}") for problem in self.problems]
        return (*self.judgement.findings, *self.space.findings(), *broken)

    @property
    def is_refused(self) -> bool:
        """Whether anything stands in the way."""
        return any(finding.is_fatal for finding in self.findings)


@dataclass(frozen=True)
class Ground:
    """What all models' plans stand on.

    Args:
        survey: of the log; None where it is not read from its beginning.
        topics: by their names; none where the log is not read from its beginning.
        ends: of the log, where a snapshot takes its place.
        earlier: the records that lack columns.
        epochs: of the log, as the generation knows them that was fed through the most of them.
    """

    survey: Survey | None
    topics: Mapping[str, Topic] = field(default_factory=dict)
    ends: Offsets = field(default_factory=dict)
    epochs: tuple[Epoch, ...] = ()
    earlier: Earlier = field(default_factory=Earlier)


def look_at_ground(settings: Settings, watcher: SurveyWatcher, lives: Lives, *, is_from_snapshot: bool) -> Ground:
    """Read the log once, unless a snapshot takes its place.

    Args:
        lives: the epochs of the log.

    Raises:
        KafkaUnavailable, RegistryUnavailable: they do not answer.
    """
    admin = settings.kafka.admin()
    if is_from_snapshot:
        ends = end_offsets(admin, settings.contract.topics)
        return Ground(None, ends=ends, epochs=lives.epochs, earlier=earlier(settings, None))
    described = describe(admin, settings.contract.topics)
    found = survey(settings, watcher, lives)
    return Ground(found, described, epochs=lives.epochs, earlier=earlier(settings, found))


def epochs_of_log(models: Iterable[str], settings: Settings) -> Lives:
    """The epochs of the log as the live generations know it: of one that was fed through the most of them.

    Where no generation of these models tells of any, those of the other models are asked.

    Raises:
        SinkError: a store does not answer.
    """
    chosen = list(models)
    known = [lives for model in chosen if (lives := _known_by(model, settings)).epochs]
    for model in read_models.MODELS if not known else ():
        try:
            known += [_known_by(model, settings)] if model not in chosen else []
        except SinkError as error:
            log.warning("epochs not asked for", model=model, reason=str(error))
    return max(known, key=lambda lives: lives.number, default=NO_LIVES)


def _known_by(model: str, settings: Settings) -> Lives:
    with read_models.STORES[model](settings) as store:
        return Lives(present(store).alive.epochs)


def planned(model: str, settings: Settings, ground: Ground, *, starts_over: bool) -> Plan:
    """Plan the replay of one model.

    Raises:
        SinkError: its store does not answer.
    """
    with read_models.STORES[model](settings) as store:
        found = present(store)
    live, generations, alive = found.live, found.generations, found.alive
    epochs = alive.epochs or ground.epochs
    noted = noting(settings, ground.earlier.values, {})
    wanted = replace(read_models.newborn(model, noted), is_complete=False, seed_offsets=ground.ends)
    recorded = (*alive.fences, *(fence for epoch in epochs for fence in epoch.fences))
    scopes, epoch = scopes_of(wanted.shapes), Lives(epochs).leading
    judgement = judge(ground.survey, ground.topics, scopes, recorded, epoch) if ground.survey else Judgement(())
    judgement = replace(judgement, findings=(*judgement.findings, *ground.earlier.findings))
    speeds = [record.filled_per_s for record in generations.values() if record.filled_per_s]
    offsets = sum(ground.survey.ends.values()) if ground.survey else 0
    return Plan(
        model,
        live,
        beginning(generations, live, wanted, starts_over=starts_over),
        judgement,
        space(model, settings),
        offsets / speeds[-1] if speeds and offsets else None,
        epochs,
        found.problems,
    )
