"""What a generation's file keeps beside its rows: progress, fences and high waters.

They stand in one row that is read and written whole. A statement costs about as much for a few rows as for a thousand,
and an insertion several times what an update does, so tables of their own would be most of the cost of a small batch.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import duckdb

from sinks.batch import Progress
from sinks.duckdb.high_water import HighWater, HighWaters
from sinks.ordering.range_tombstone import Fence, Fences

CREATE_BOOKS = """
    CREATE SCHEMA IF NOT EXISTS readmodels;
    CREATE TABLE IF NOT EXISTS readmodels.books (content JSON NOT NULL);
    INSERT INTO readmodels.books SELECT '{"progress": [], "fences": [], "high_waters": []}'
        WHERE NOT EXISTS (FROM readmodels.books);
    CREATE VIEW IF NOT EXISTS readmodels.progress AS SELECT unnest(
        from_json(content->'progress', '[{"topic": "VARCHAR", "partition": "INTEGER", "next_offset": "BIGINT"}]'),
        recursive := true) FROM readmodels.books;
"""


@dataclass(frozen=True)
class Books:
    """The books of one generation; the high waters are by table."""

    progress: Progress = field(default_factory=Progress)
    fences: Fences = field(default_factory=Fences)
    high_waters: Mapping[str, HighWaters] = field(default_factory=dict)

    def to_json(self) -> str:
        """A JSON object that `from_json` reads back."""
        content = {
            "progress": [
                {"topic": topic, "partition": partition, "next_offset": offset}
                for (topic, partition), offset in self.progress.offsets.items()
            ],
            "fences": [fence.to_json() for fence in self.fences],
            "high_waters": [
                {"table": table, "partition": partition, "streamed": mark.streamed, "snapshot": mark.snapshot}
                for table, waters in self.high_waters.items()
                for partition, mark in waters.marks.items()
            ],
        }
        return json.dumps(content)

    @classmethod
    def from_json(cls, text: str) -> Books:
        """Read what `to_json` wrote."""
        content = json.loads(text)
        marks: dict[str, dict[int, HighWater]] = {}
        for mark in content["high_waters"]:
            high_water = HighWater(tuple(mark["streamed"]), tuple(mark["snapshot"]))
            marks.setdefault(mark["table"], {})[mark["partition"]] = high_water
        return cls(
            Progress({(shard["topic"], shard["partition"]): shard["next_offset"] for shard in content["progress"]}),
            Fences().joined(map(Fence.from_json, content["fences"])),
            {table: HighWaters(waters) for table, waters in marks.items()},
        )


def read_books(connection: duckdb.DuckDBPyConnection) -> Books:
    """The books as this transaction sees them."""
    [(text,)] = connection.execute("SELECT content FROM readmodels.books").fetchall()
    return Books.from_json(text)


def write_books(connection: duckdb.DuckDBPyConnection, books: Books) -> None:
    """Replace the books."""
    connection.execute("UPDATE readmodels.books SET content = ?", [books.to_json()])
