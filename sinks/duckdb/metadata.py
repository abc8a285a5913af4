"""Sink metadata in a generation's file: progress, range tombstones and high-water marks.

All of it is one row that is read and written as a whole. A statement costs about as much for a few rows as for a
thousand, and an INSERT costs several times as much as an UPDATE. Separate tables would be most of the cost of a small
batch.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import duckdb

from sinks.batch import Progress
from sinks.duckdb.high_water import HighWaterMark, HighWaterMarks
from sinks.ordering.range_tombstone import RangeTombstone, RangeTombstones

CREATE_METADATA = """
    CREATE SCHEMA IF NOT EXISTS readmodels;
    CREATE TABLE IF NOT EXISTS readmodels.books (content JSON NOT NULL);
    INSERT INTO readmodels.books SELECT '{"progress": [], "fences": [], "high_waters": []}'
        WHERE NOT EXISTS (FROM readmodels.books);
    CREATE VIEW IF NOT EXISTS readmodels.progress AS SELECT unnest(
        from_json(content->'progress', '[{"topic": "VARCHAR", "partition": "INTEGER", "next_offset": "BIGINT"}]'),
        recursive := true) FROM readmodels.books;
"""


@dataclass(frozen=True)
class SinkMetadata:
    """Metadata of one generation. The high-water marks are by table."""

    progress: Progress = field(default_factory=Progress)
    fences: RangeTombstones = field(default_factory=RangeTombstones)
    high_waters: Mapping[str, HighWaterMarks] = field(default_factory=dict)

    def to_json(self) -> str:
        """Return a JSON object that `from_json` can read."""
        content = {
            "progress": [
                {"topic": topic, "partition": partition, "next_offset": offset}
                for (topic, partition), offset in self.progress.offsets.items()
            ],
            "fences": [range_tombstone.to_json() for range_tombstone in self.fences],
            "high_waters": [
                {"table": table, "partition": partition, "streamed": mark.streamed, "snapshot": mark.snapshot}
                for table, waters in self.high_waters.items()
                for partition, mark in waters.high_waters.items()
            ],
        }
        return json.dumps(content)

    @classmethod
    def from_json(cls, text: str) -> SinkMetadata:
        """Read the output of `to_json`."""
        content = json.loads(text)
        marks: dict[str, dict[int, HighWaterMark]] = {}
        for mark in content["high_waters"]:
            high_water = HighWaterMark(tuple(mark["streamed"]), tuple(mark["snapshot"]))
            marks.setdefault(mark["table"], {})[mark["partition"]] = high_water
        return cls(
            Progress(
                {
                    (topic_partition["topic"], topic_partition["partition"]): topic_partition["next_offset"]
                    for topic_partition in content["progress"]
                }
            ),
            RangeTombstones().merge(map(RangeTombstone.from_json, content["fences"])),
            {table: HighWaterMarks(waters) for table, waters in marks.items()},
        )


def read_metadata(connection: duckdb.DuckDBPyConnection) -> SinkMetadata:
    """Read the metadata that this transaction sees."""
    [(text,)] = connection.execute("SELECT content FROM readmodels.books").fetchall()
    return SinkMetadata.from_json(text)


def write_metadata(connection: duckdb.DuckDBPyConnection, books: SinkMetadata) -> None:
    """Replace the metadata."""
    connection.execute("UPDATE readmodels.books SET content = ?", [books.to_json()])
