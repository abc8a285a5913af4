"""The fuzzed server as a process: a store with one order, which reports its state on standard output."""

from __future__ import annotations

import json
import os
import sys
from contextlib import closing
from pathlib import Path

from pipeline.memory_limit import MemoryLimit, data_bytes
from sinks.duckdb.reader_limits import DEFAULT_LIMITS
from sinks.duckdb.serving import ServingSettings, files_of, memory_bytes, serve
from sinks.duckdb.store import DuckdbStore
from tests.contract.log import SHOP, Log, batch
from tests.contract.store_harness import Form
from tests.unit.sinks.duckdb.quack import TOKEN

MEMORY_LIMIT = "200MB"
SHAPES = [SHOP.root, SHOP.child]
LOOKS = (
    # Those are the server's own counters.
    "FROM duckdb_settings() WHERE name NOT IN ('whoami_started_at', 'quack_loaded_at_us') ORDER BY ALL",
    "SELECT database_name, schema_name, table_name, sql FROM duckdb_tables() ORDER BY ALL",
    "SELECT database_name, schema_name, view_name, sql FROM duckdb_views() ORDER BY ALL",
    "SELECT function_name, function_type FROM duckdb_functions() ORDER BY ALL",
    "SELECT database_name, path, readonly FROM duckdb_databases() ORDER BY ALL",
    "FROM orders ORDER BY ALL",
    "SELECT count(*) FROM quack_server_list()",
)


def state(store: DuckdbStore, directory: Path) -> dict[str, object]:
    """Return everything that no reader may change."""
    with store.instance().cursor() as connection:
        seen = {query: [str(row) for row in connection.execute(query).fetchall()] for query in LOOKS}
    files = {path.name: path.stat().st_ino for path in sorted(directory.iterdir()) if path.name != "spill"}
    inode = (directory / "000001.duckdb").stat().st_ino
    locks = [line for line in Path("/proc/locks").read_text().splitlines() if line.split()[5].endswith(f":{inode}")]
    return {**seen, "files": files, "locks": len(locks), "folder": str(Path.cwd()), "environment": dict(os.environ)}


def main(directory: Path, address: str) -> None:
    """Serve until standard input ends; answer every input line with the state."""
    with closing(DuckdbStore(directory, SHAPES, MEMORY_LIMIT)) as store:
        store.sink(1).prepare()
        store.sink(1).cutover()
        log = Log(SHOP)
        log.streamed(SHOP.root, (10, 11), after={"id": 1, "status": "new", "total": "12.30"})
        store.sink(1).write(batch(log.events, SHOP, Form.ROWS))
        MemoryLimit(data_bytes() + sum(memory_bytes(store.instance(), DEFAULT_LIMITS.memory_headroom))).apply()
        with closing(serve(store.instance(), ServingSettings(address, TOKEN, files_of(directory)))):
            for _ in sys.stdin:
                print(json.dumps(state(store, directory)), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
