"""Catalog of the DuckDB generations: a JSON file with the live generation and all metadata, for any process to read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from sinks.atomic_file import write_whole
from sinks.duckdb.errors import DuckdbBroken
from sinks.generation import NO_METADATA, UNREADABLE_METADATA, GenerationMetadata, readable

NAME = "generations.json"


@dataclass(frozen=True)
class GenerationCatalog:
    """Content of the catalog file.

    Args:
        live: the generation that readers see, or None.
        records: the stored generation metadata, by generation number.
    """

    live: int | None = None
    records: Mapping[int, GenerationMetadata] = field(default_factory=dict)

    def get(self, generation: int) -> GenerationMetadata:
        """Return the metadata of one generation."""
        return self.records.get(generation, NO_METADATA)

    def with_metadata(self, generation: int, record: GenerationMetadata) -> GenerationCatalog:
        """Return this catalog with new metadata for one generation."""
        return GenerationCatalog(self.live, {**self.records, generation: record})

    def with_live(self, generation: int, since: datetime) -> GenerationCatalog:
        """Return this catalog with another live generation."""
        shown = self.with_metadata(generation, self.get(generation).as_shown(since))
        return replace(shown, live=generation)

    def without(self, generation: int) -> GenerationCatalog:
        """Return this catalog without the metadata of one generation."""
        return GenerationCatalog(
            self.live, {number: record for number, record in self.records.items() if number != generation}
        )

    def write(self, directory: Path) -> None:
        """Replace the catalog file in one step."""
        content = {"live": self.live, "records": {number: one.to_json() for number, one in self.records.items()}}
        write_whole(directory / NAME, json.dumps(content, indent=2))


def read_catalog(directory: Path) -> GenerationCatalog:
    """Read the catalog of a directory. A missing file is an empty catalog.

    Raises:
        DuckdbBroken: the file is damaged.
    """
    try:
        content = json.loads((directory / NAME).read_text())
        records = {int(number): readable(text) for number, text in content["records"].items()}
        return GenerationCatalog(content["live"], records)
    except FileNotFoundError:
        return GenerationCatalog()
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DuckdbBroken(f"{directory / NAME} is damaged: {type(error).__name__}") from error


def restore_catalog(directory: Path) -> None:
    """Replace a damaged catalog with one that has no live generation. The existing files can no longer be made live."""
    try:
        read_catalog(directory)
    except DuckdbBroken:
        GenerationCatalog(None, dict.fromkeys(_files_in(directory), UNREADABLE_METADATA)).write(directory)


def generation_path(directory: Path, generation: int) -> Path:
    """Return the path of one generation's DuckDB file."""
    return directory / f"{generation:06}.duckdb"


def generations_in(directory: Path) -> dict[int, GenerationMetadata]:
    """Return the generations whose files are in a directory, and the live one, in ascending order.

    Raises:
        DuckdbBroken: the catalog is damaged.
    """
    ledger = read_catalog(directory)
    shown = [] if ledger.live is None else [ledger.live]
    return {number: ledger.get(number) for number in sorted({*_files_in(directory), *shown})}


def _files_in(directory: Path) -> list[int]:
    return [int(path.stem) for path in directory.glob("[0-9]*.duckdb")]


def size_bytes(directory: Path, generation: int) -> int:
    """Return the size of a generation's files, or zero if there are none."""
    path = generation_path(directory, generation)
    return sum(one.stat().st_size for one in (path, path.with_name(f"{path.name}.wal")) if one.exists())
