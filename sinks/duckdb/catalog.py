"""The small file beside DuckDB's that says which generation is live, and what is known of each; anybody can read it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from sinks.atomic_file import write_whole
from sinks.duckdb.errors import DuckdbBroken
from sinks.generation import UNKNOWN, UNREADABLE, Record, readable

NAME = "generations.json"


@dataclass(frozen=True)
class Ledger:
    """What the file says.

    Args:
        live: the generation that readers see, or None where there is none.
        records: those that were noted, by the generation's number.
    """

    live: int | None = None
    records: Mapping[int, Record] = field(default_factory=dict)

    def of(self, generation: int) -> Record:
        """The record of one generation."""
        return self.records.get(generation, UNKNOWN)

    def noting(self, generation: int, record: Record) -> Ledger:
        """This ledger, with another record of one generation."""
        return Ledger(self.live, {**self.records, generation: record})

    def showing(self, generation: int, since: datetime) -> Ledger:
        """This ledger, with another live generation."""
        shown = self.noting(generation, replace(self.of(generation), shown_at=since))
        return replace(shown, live=generation)

    def without(self, generation: int) -> Ledger:
        """This ledger, without what was noted of one generation."""
        return Ledger(self.live, {number: record for number, record in self.records.items() if number != generation})

    def write(self, directory: Path) -> None:
        """Put it in place in one step."""
        content = {"live": self.live, "records": {number: one.to_json() for number, one in self.records.items()}}
        write_whole(directory / NAME, json.dumps(content, indent=2))


def read_ledger(directory: Path) -> Ledger:
    """What the file in a directory says; where there is none, nothing is noted.

    Raises:
        DuckdbBroken: it is damaged.
    """
    try:
        content = json.loads((directory / NAME).read_text())
        records = {int(number): readable(text) for number, text in content["records"].items()}
        return Ledger(content["live"], records)
    except FileNotFoundError:
        return Ledger()
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DuckdbBroken(f"{directory / NAME} is damaged: {type(error).__name__}") from error


def mend_ledger(directory: Path) -> None:
    """Replace a damaged ledger by one that shows nothing; no cutover will show the files that are there."""
    try:
        read_ledger(directory)
    except DuckdbBroken:
        Ledger(None, dict.fromkeys(_files_in(directory), UNREADABLE)).write(directory)


def generation_path(directory: Path, generation: int) -> Path:
    """The DuckDB file of one generation."""
    return directory / f"{generation:06}.duckdb"


def generations_in(directory: Path) -> dict[int, Record]:
    """The generations whose files are in a directory, and the live one, by ascending number.

    Raises:
        DuckdbBroken: the ledger is damaged.
    """
    ledger = read_ledger(directory)
    shown = [] if ledger.live is None else [ledger.live]
    return {number: ledger.of(number) for number in sorted({*_files_in(directory), *shown})}


def _files_in(directory: Path) -> list[int]:
    return [int(path.stem) for path in directory.glob("[0-9]*.duckdb")]


def size_bytes(directory: Path, generation: int) -> int:
    """The size of a generation's files; zero where there are none."""
    path = generation_path(directory, generation)
    return sum(one.stat().st_size for one in (path, path.with_name(f"{path.name}.wal")) if one.exists())
