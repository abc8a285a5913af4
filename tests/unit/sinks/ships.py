"""An invented contract, with keys of several columns, which have the characters that part them in them."""

from __future__ import annotations

from pipeline.definitions import Collection, Contract, Document, Table

CONTRACT = Contract(
    topic_prefix="cdc",
    tables={
        "ships": Table(
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
        "cargo": Table(
            source="fleet.cargo",
            key=("number", "slot"),
            columns={"number": "bigint", "slot": "text", "flag": "text", "ship": "integer", "tons": "numeric(8,3)"},
        ),
    },
    documents={
        "ships": Document(root="ships", collections={"holds": Collection(table="cargo", parent=("flag", "ship"))})
    },
)
