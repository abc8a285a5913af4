"""Example definitions with keys of several columns, whose values contain the key separators."""

from __future__ import annotations

from pipeline.definitions import CollectionDefinition, DocumentDefinition, ModelDefinitions, TableDefinition

CONTRACT = ModelDefinitions(
    topic_prefix="cdc",
    tables={
        "ships": TableDefinition(
            source="fleet.ships",
            key=("flag", "number"),
            columns={
                "flag": "text",
                "number": "integer",
                "name": "text",
                "crew": "jsonb",
                "seen_at": "timestamp with time zone",
            },
        ),
        "cargo": TableDefinition(
            source="fleet.cargo",
            key=("number", "slot"),
            columns={"number": "bigint", "slot": "text", "flag": "text", "ship": "integer", "tons": "numeric(8,3)"},
        ),
    },
    documents={
        "ships": DocumentDefinition(
            root="ships", collections={"holds": CollectionDefinition(table="cargo", parent=("flag", "ship"))}
        )
    },
)
