"""Cutover to a generation, rollback, and removal of generations that are no longer needed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from pipeline import read_models
from pipeline.catch_up import ProgressCallback, wait_until_caught_up
from pipeline.config import Settings
from pipeline.epochs.offset_sink import open_sink
from pipeline.generations.readable import readable_generations
from pipeline.ingest.groups import delete_group
from pipeline.postgres.watermark import committed_end_offsets, select_topics
from sinks.batch import Offsets
from sinks.errors import GenerationBroken, GenerationMissing
from sinks.generation import GenerationMetadata, GenerationState, rollback_candidates
from sinks.sink import Store

log = structlog.get_logger()


class GenerationNotServable(Exception):
    """A generation must not go live: it is missing, unfinished, or differs from the source."""

    remedy = (
        "`readmodels generations` lists the existing ones; `readmodels replay all --execute` builds a new one, or "
        "resumes an unfinished one."
    )


class GenerationCatchUpTimeout(Exception):
    """A generation did not reach the watermark before the timeout."""

    remedy = (
        "`readmodels generations` shows the lag of each. Start its workers with `readmodels run`, resume them with "
        "`readmodels resume`, or raise the timeout, as in `readmodels cutover --timeout 600`."
    )


class NoPreviousGeneration(Exception):
    """No generation remains that was live before the current one."""

    remedy = "Run `readmodels replay all --execute`: it builds a new generation from the log."


@dataclass(frozen=True)
class CutoverResult:
    """Result of a cutover: the generation that was live before, and the one that is live now."""

    model: str
    before: int | None
    now: int


def newest(model: str, store: Store) -> int:
    """Return the default generation of a cutover: the newest one besides the live one that may go live.

    Raises:
        GenerationNotServable: there is none.
    """
    live = store.live()
    able = (GenerationState.READY, GenerationState.KEPT)
    found = [number for number, record in store.generations().items() if record.state(is_live=number == live) in able]
    if not found:
        raise GenerationNotServable(f"{model} has no complete generation beside the live one")
    return max(found)


def previous(model: str, store: Store) -> int:
    """Return the generation that was live before the current one.

    Raises:
        NoPreviousGeneration: none remains.
    """
    found = rollback_candidates(store.generations(), store.live())
    if not found:
        raise NoPreviousGeneration(f"{model} has no generation that was live before")
    return found[0]


def require_servable(model: str, generation: int, store: Store) -> None:
    """Check that a generation may go live.

    Raises:
        GenerationNotServable: it is missing, unfinished or rejected.
    """
    record = store.generations().get(generation)
    if record is None:
        raise GenerationNotServable(f"{model} has no generation {generation}")
    state = record.state(is_live=readable_generations(store).live == generation)
    if state in (GenerationState.BUILDING, GenerationState.REJECTED):
        raise GenerationNotServable(f"generation {generation} of {model} is {state}")


def cut_over(
    model: str, generation: int, settings: Settings, look: ProgressCallback, timeout_s: float
) -> CutoverResult:
    """Make a generation live once it has applied everything committed now and everything that readers have seen.

    Raises:
        GenerationNotServable: it is missing, unfinished or rejected.
        GenerationCatchUpTimeout: it does not catch up in time; the live generation is unchanged.
    """
    with read_models.open_store(model, settings) as store:
        require_servable(model, generation, store)
        before, sink = readable_generations(store).live, open_sink(store, generation)
        own = read_models.settings_for(store.generations()[generation], settings)

        def late(lack: str) -> GenerationCatchUpTimeout:
            return GenerationCatchUpTimeout(f"generation {generation} of {model} {lack}")

        def reach(ends: Offsets) -> None:
            wait_until_caught_up(sink.progress, ends, late, look, timeout_s)

        reach(committed_end_offsets(own, own.definitions.topics))
        if before is not None and before != generation:
            # Compare with the live generation's current progress, so that readers never see older data.
            reach(select_topics(_shown(store, before), own.definitions.topics))
        sink.cutover()
        return CutoverResult(model, before, generation)


def _shown(store: Store, live: int) -> Offsets:
    """Return the progress of the live generation; empty if it is broken and readers cannot read it."""
    try:
        return open_sink(store, live).progress().offsets
    except (GenerationMissing, GenerationBroken) as error:
        log.warning(
            "live generation cannot be read, cutting over without a comparison", generation=live, reason=str(error)
        )
        return {}


def cut_over_now(model: str, generation: int, settings: Settings) -> CutoverResult:
    """Make a generation live without waiting for its progress.

    Raises:
        GenerationNotServable: it is missing, unfinished or rejected.
    """
    with read_models.open_store(model, settings) as store:
        require_servable(model, generation, store)
        before = readable_generations(store).live
        store.sink(generation).cutover()
        return CutoverResult(model, before, generation)


def prunable(generations: Mapping[int, GenerationMetadata], live: int | None, keep: int) -> list[int]:
    """Return the rejected generations, and all but the last `keep` generations that were live before."""
    states = {number: record.state(is_live=number == live) for number, record in generations.items()}
    rejected = [number for number, state in states.items() if state is GenerationState.REJECTED]
    return sorted([*rejected, *rollback_candidates(generations, live)[keep:]])


def drop(model: str, generation: int, store: Store, settings: Settings) -> None:
    """Drop a generation and its consumer group.

    Raises:
        GenerationInUse: the generation is live.
    """
    store.drop(generation)
    delete_group(settings.kafka, read_models.consumer_group(model, generation))
