"""Directories in which DuckDB's files were made, kept in the control topic: settings name the one of today only."""

from __future__ import annotations

from pathlib import Path

from connectors.kafka import KafkaSettings
from pipeline.ingest.control_topic import ControlTopicMissing, read_control, store_control

_PREFIX = "duckdb directory/"


def record_directory(kafka: KafkaSettings, directory: Path) -> None:
    """Note an absolute path.

    Raises:
        KafkaUnavailable: it was not stored.
    """
    store_control(kafka, {f"{_PREFIX}{directory}": b"{}"})


def recorded_directories(kafka: KafkaSettings) -> list[Path]:
    """Read the paths that were noted; on another machine they need not exist.

    Raises:
        KafkaUnavailable: the brokers did not answer.
    """
    try:
        kept = read_control(kafka)
    except ControlTopicMissing:
        return []
    return sorted(Path(key.removeprefix(_PREFIX)) for key in kept if key.startswith(_PREFIX))
