"""Generations of the read models, found by their metadata."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager, closing
from functools import partial
from pathlib import Path

from elasticsearch import Elasticsearch

from pipeline import read_models
from pipeline.config import Settings
from pipeline.stores.duckdb.read_model import DUCKDB
from pipeline.stores.elasticsearch import ELASTICSEARCH
from pipeline.stores.redis import REDIS
from pipeline.teardown.found import Area, LeftAlone, RemovablePart
from pipeline.teardown.traces import Traces, of_record, of_records
from sinks.duckdb.removal import files_in, recorded_copies, records_in, remove_files
from sinks.duckdb.serving import pending_path
from sinks.elasticsearch import store as elasticsearch
from sinks.elasticsearch.removal import RecordedIndices, generation_of
from sinks.generation import GenerationMetadata
from sinks.redis.store import RedisStore

_SEARCHED = {DUCKDB.name, ELASTICSEARCH.name, REDIS.name}
"""Models whose parts are found by functions of their own: their stores are shared, or consist of files."""


def find_redis(settings: Settings) -> tuple[Area, Traces]:
    """Find generations in the Redis server, which belongs to the read model alone.

    Returns: the area, and the traces in the metadata.
    """
    area, found = Area("redis model"), Traces()
    with area.looking(), _redis(settings) as store:
        live, generations = store.live(), store.generations()
        found = of_records(generations.values())
        for number, record in generations.items():
            told = f"generation {number}{' (live)' if number == live else ''} of {_documents(record)}"
            area.found.append(RemovablePart(told, partial(_remove_from_redis, settings, number)))
    return area, found


def find_duckdb(settings: Settings, fed: Traces, source: str) -> tuple[Area, Traces]:
    """Find the files of DuckDB in the directory that the settings name.

    Args:
        fed: the traces of other models. The directory is left alone if its generations consume other topics.
        source: the source's system identifier; empty if it is not known.
    """
    area, found = Area("duckdb model"), Traces()
    directory = settings.duckdb.directory
    with area.looking():
        records = _readable(records_in(directory))
        if fed and records and not any(fed.is_of(record, source) for record in records):
            area.left.append(_of_others(directory))
            return area, found
        found = of_records(records) | Traces(copies=frozenset(map(str, recorded_copies(directory))))
        area.found += _directory(directory)
    return area, found


def add_noted_directories(area: Area, directories: Iterable[Path], traces: Traces, source: str) -> Traces:
    """Add directories in which DuckDB's files were created earlier, if they exist and belong to the deployment.

    Returns: the traces in their metadata.
    """
    found = Traces()
    for directory in directories:
        with area.looking():
            records = _readable(records_in(directory))
            if any(traces.is_of(record, source) for record in records):
                found |= of_records(records) | Traces(copies=frozenset(map(str, recorded_copies(directory))))
                area.found += _directory(directory)
    return found


def find_copies(settings: Settings, traces: Traces) -> Area:
    """Find the copies that DuckDB's worker published."""
    area = Area("published copy of duckdb")
    with area.looking():
        for name in sorted(traces.copies):
            for path in (Path(name), pending_path(Path(name))):
                if path.exists():
                    area.found.append(RemovablePart(f"file {path}", partial(path.unlink, missing_ok=True)))
        today = Path(settings.duckdb.copy_to).absolute()
        if settings.duckdb.copy_to and str(today) not in traces.copies and today.exists():
            area.left.append(
                LeftAlone(
                    f"file {today} stays: DuckDB's worker has not noted that it published it",
                    f"If nobody needs it, delete it: rm {today}",
                )
            )
    return area


def find_elasticsearch(settings: Settings, traces: Traces, source: str) -> Area:
    """Find the indices of the deployment, in a cluster that others may share."""
    area = Area("elasticsearch model")
    with area.looking(), _elasticsearch(settings) as client:
        for index, record in RecordedIndices(client).read().items():
            place = generation_of(index, record)
            # Without topic ids recorded by a worker, the names of the topics are not sufficient proof.
            is_described = place is not None and place[0] in {*traces.documents, *settings.documents}
            if place is not None and traces.is_of(record, source) and (record.epochs or is_described):
                area.found.append(RemovablePart(f"index {index}", partial(_remove_index, settings, index)))
            elif is_described or record.is_unreadable or of_record(record).prefixes & traces.prefixes:
                area.left.append(_unproven(index))
    return area


def find_others(settings: Settings, traces: Traces, source: str) -> list[Area]:
    """Find the generations of the other read models, whose stores need no search of their own."""
    return [_find_model(model, settings, traces, source) for model in read_models.READ_MODELS if model not in _SEARCHED]


def _find_model(model: str, settings: Settings, traces: Traces, source: str) -> Area:
    area = Area(f"{model} model")
    with area.looking(), read_models.open_store(model, settings) as store:
        generations = store.generations()
        names = f"generations {', '.join(map(str, generations))} of {model}"
        if generations and all(traces.is_of(record, source) for record in generations.values()):
            area.found.append(RemovablePart(names, partial(_remove_model, model, settings)))
        elif generations:
            area.left.append(
                LeftAlone(
                    f"{names} stay: nothing proves that all of them are of this deployment",
                    "If nobody needs them, delete them with a client of the store.",
                )
            )
    return area


def _remove_model(model: str, settings: Settings) -> None:
    with read_models.open_store(model, settings) as store:
        store.drop_all()


def _redis(settings: Settings) -> closing[RedisStore]:
    return closing(RedisStore(settings.redis.url, []))


def _remove_from_redis(settings: Settings, number: int) -> None:
    with _redis(settings) as store:
        store.remove(number, settings.documents)


def _elasticsearch(settings: Settings) -> AbstractContextManager[Elasticsearch]:
    return elasticsearch.connect(settings.elasticsearch.url, request_timeout_s=settings.elasticsearch.request_timeout_s)


def _remove_index(settings: Settings, index: str) -> None:
    with _elasticsearch(settings) as client:
        RecordedIndices(client).remove(index)


def _directory(directory: Path) -> list[RemovablePart]:
    files = files_in(directory)
    if not files:
        return []
    generations = [path.name for path in files if path.suffix == ".duckdb"]
    told = f"directory {directory} with {', '.join(generations) or 'no generation'}"
    return [RemovablePart(told, partial(remove_files, directory))]


def _readable(records: Iterable[GenerationMetadata]) -> list[GenerationMetadata]:
    return [record for record in records if not record.is_unreadable]


def _documents(record: GenerationMetadata) -> str:
    return ", ".join(sorted(of_record(record).documents)) or "unknown documents"


def _of_others(directory: Path) -> LeftAlone:
    return LeftAlone(
        f"directory {directory} stays: its generations are fed from topics of another deployment",
        "Correct `duckdb.directory`, then run `readmodels teardown --execute` again.",
    )


def _unproven(index: str) -> LeftAlone:
    return LeftAlone(
        f"index {index} stays: nothing proves that it is of this deployment, such as the id of a topic that both name",
        f"If nobody needs it, delete it: send Elasticsearch DELETE /{index}",
    )
