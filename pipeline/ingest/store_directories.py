"""Directories of DuckDB files, recorded in the control topic. Settings name only the current directory."""

from __future__ import annotations

from pathlib import Path

from connectors.kafka import KafkaSettings
from pipeline.ingest.control_topic import ControlTopicMissing, read_control, store_control

_PREFIX = "duckdb directory/"


def record_directory(kafka: KafkaSettings, directory: Path) -> None:
    """Record an absolute path.

    Raises:
        KafkaUnavailable: the path was not stored.
    """
    store_control(kafka, {f"{_PREFIX}{directory}": b"{}"})


def recorded_directories(kafka: KafkaSettings) -> list[Path]:
    """Read the recorded paths. They need not exist on another machine.

    Raises:
        KafkaUnavailable: the brokers did not answer.
    """
    try:
        kept = read_control(kafka)
    except ControlTopicMissing:
        return []
    return sorted(Path(key.removeprefix(_PREFIX)) for key in kept if key.startswith(_PREFIX))
