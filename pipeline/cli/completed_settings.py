"""Settings whose tables leave keys or columns to the database, completed from the database."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pipeline.config import Settings
from pipeline.definitions import TableDefinition
from pipeline.postgres.database import SourceUnavailable, connect
from pipeline.setup.declared import complete_tables
from sinks.atomic_file import write_whole

FILE = "tables.json"


def completed_settings(settings: Settings, home: Path) -> Settings:
    """Complete the tables from the database, and store them for commands that run while it does not answer.

    Raises:
        SourceUnavailable: the database does not answer, and no earlier command has stored these tables.
        InvalidDefinitions: a table does not exist, or cannot be captured.
    """
    file = home / FILE
    asked = {name: asdict(table) for name, table in settings.tables.items()}
    try:
        with closing(connect(settings.source.url)) as connection:
            complete = complete_tables(connection, settings)
    except SourceUnavailable:
        stored = _read(file)
        if stored.get("asked") != json.loads(json.dumps(asked)):
            raise
        return settings.model_copy(update={"tables": {name: _table(one) for name, one in stored["tables"].items()}})
    home.mkdir(parents=True, exist_ok=True)
    tables = {name: asdict(table) for name, table in complete.tables.items()}
    write_whole(file, json.dumps({"asked": asked, "tables": tables}))
    return complete


def _read(file: Path) -> dict[str, Any]:
    try:
        read: dict[str, Any] = json.loads(file.read_text())
    except (OSError, ValueError):
        return {}
    return read


def _table(plain: dict[str, Any]) -> TableDefinition:
    lists = {name: tuple(plain[name]) for name in ("key", "exclude")}
    return TableDefinition(**{**plain, **lists})
