"""First generation of every read model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from pipeline import read_models
from pipeline.config import Settings
from pipeline.ingest.store_directories import record_directory, recorded_directories
from pipeline.setup.source import UNCHANGED, SetupStep
from sinks.generation import GenerationMetadata
from sinks.sink import Store

NEVER = datetime.min.replace(tzinfo=UTC)


def first_generation_steps(settings: Settings) -> list[SetupStep]:
    """Return one step per model that creates its first generation if it has none, and one per directory of a store."""
    records = {model: read_models.new_metadata(model, settings) for model in read_models.READ_MODELS}
    return [
        *_directory_steps(settings),
        *_check_steps(settings),
        *(
            _step(model, f"{model} model", settings, partial(_create_first, record=record))
            for model, record in records.items()
        ),
    ]


def _step(model: str, name: str, settings: Settings, act: Callable[[Store], str]) -> SetupStep:
    def carry_out() -> str:
        with read_models.open_store(model, settings) as store:
            return act(store)

    return SetupStep(name, carry_out)


def _create_first(store: Store, record: GenerationMetadata) -> str:
    live, generations = store.live(), store.generations()
    if live in generations:
        return UNCHANGED
    # The number of a generation that was removed by hand is not reused, because parts of it may be left.
    generation = max(_fit_for_readers(generations), default=(NEVER, max([live or 0, *generations]) + 1))[1]
    store.create(generation, replace(record, is_complete=False))
    store.sink(generation).cutover()
    return f"generation {generation} is live"


def _fit_for_readers(generations: Mapping[int, GenerationMetadata]) -> Iterator[tuple[datetime, int]]:
    """Yield the generations that may be shown to readers, each after the time at which it last went live."""
    for number, record in generations.items():
        if record.is_followed and not record.is_rejected:
            yield record.shown_at or NEVER, number


def _check_steps(settings: Settings) -> list[SetupStep]:
    return [
        SetupStep(f"{model} documents", partial(_check, one.check, settings))
        for model, one in read_models.READ_MODELS.items()
        if one.check is not None
    ]


def _check(check: Callable[[Settings], None], settings: Settings) -> str:
    check(settings)
    return UNCHANGED


def _directory_steps(settings: Settings) -> list[SetupStep]:
    return [
        SetupStep(f"{model} directory", partial(_note_directory, settings, one.directory(settings)))
        for model, one in read_models.READ_MODELS.items()
        if one.directory is not None
    ]


def _note_directory(settings: Settings, directory: Path) -> str:
    """Record the directory before it has content, so that `teardown` finds it even if the configuration changes."""
    if directory in recorded_directories(settings.kafka):
        return UNCHANGED
    record_directory(settings.kafka, directory)
    return "noted"
