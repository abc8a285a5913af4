"""First fill of Elasticsearch by pgsync from the same rows on the same servers, in a separate environment.

pgsync reads the tables with SQL and joins them there; it needs PostgreSQL, Redis and Elasticsearch. Its Elasticsearch
client first requests `GET /`, which the local stack's node refuses. pgsync therefore runs with its OpenSearch client,
which does not send that request; the other requests are the same.

Source: https://pgsync.com
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

import urllib3
from psycopg import sql
from redis import Redis

from bench.verify import FILL
from pipeline.config import Settings
from pipeline.demo.tables import create_tables
from pipeline.postgres.database import Connection, connect

VERSION = "7.3.0"
DATABASE = "pgsync_bench"
INDEX = "pgsync-bench-orders"
REDIS_DATABASE = 15
"""Redis database that no generation of the benchmark uses: a model has one or two."""


class PgsyncFailed(RuntimeError):
    """pgsync did not run, or did not write every document."""


def fill_s(settings: Settings, orders: int, home: Path) -> float:
    """Install pgsync if it is missing, and measure one run over orders with two items each.

    Args:
        home: the folder of its environment.

    Raises:
        PgsyncFailed: pgsync ended with an error, or the index lacks documents.
    """
    folder = home / f"pgsync-{VERSION}"
    _install(folder)
    with _filled(settings, orders) as admin_url, closing(_redis(settings)) as own:
        schema = folder / "schema.json"
        schema.write_text(json.dumps([_schema(settings)]))
        environment = _environment(settings, admin_url)
        _run(folder, "bootstrap", schema, environment)
        try:
            began = time.monotonic()
            _run(folder, "pgsync", schema, environment)
            took_s = time.monotonic() - began
            _require_whole(settings, orders)
        finally:
            _run(folder, "bootstrap", schema, environment, "--teardown")
            urllib3.request("DELETE", f"{settings.elasticsearch.url}/{INDEX}")
            own.flushdb()
    return took_s


def _install(folder: Path) -> None:
    if (folder / "bin" / "pgsync").exists():
        return
    uv = str(Path(sys.executable).with_name("uv"))
    subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)], check=True)
    installs = [uv, "pip", "install", "--quiet", "--python", str(folder / "bin" / "python"), f"pgsync=={VERSION}"]
    subprocess.run(installs, check=True)


@contextmanager
def _filled(settings: Settings, orders: int) -> Iterator[str]:
    """Create a separate database with the rows, yield its administrator's URL, and drop it at the end."""
    url = urlunsplit(urlsplit(settings.source.admin_url)._replace(path=f"/{DATABASE}"))
    with closing(connect(settings.source.admin_url)) as admin:
        _drop(admin)
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))
        try:
            with closing(connect(url)) as own:
                create_tables(own)
                own.execute(sql.SQL(FILL).format(orders=sql.Literal(orders)))
                own.execute("ANALYZE")
            yield url
        finally:
            _drop(admin)


def _drop(admin: Connection) -> None:
    """Drop the database after its replication slots, which a killed run leaves behind."""
    slots = "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = %s"
    admin.execute(slots, [DATABASE])
    admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(DATABASE)))


def _schema(settings: Settings) -> dict[str, Any]:
    """Return the document of the shipped definitions as a pgsync schema."""
    tables = settings.definitions.tables
    items = {
        "table": "order_items",
        "label": "items",
        "columns": list(tables["order_items"].columns),
        "relationship": {
            "variant": "object",
            "type": "one_to_many",
            "foreign_key": {"child": ["order_id"], "parent": ["id"]},
        },
    }
    root = {"table": "orders", "columns": list(tables["orders"].columns), "children": [items]}
    return {"database": DATABASE, "index": INDEX, "nodes": root}


def _environment(settings: Settings, admin_url: str) -> dict[str, str]:
    source, redis = urlsplit(admin_url), urlsplit(settings.redis.url)
    return {
        **os.environ,
        "PG_HOST": source.hostname or "",
        "PG_PORT": str(source.port or 5432),
        "PG_USER": unquote(source.username or ""),
        "PG_PASSWORD": unquote(source.password or ""),
        "REDIS_HOST": redis.hostname or "",
        "REDIS_PORT": str(redis.port or 6379),
        "REDIS_AUTH": unquote(redis.password or ""),
        "REDIS_DB": str(REDIS_DATABASE),
        "ELASTICSEARCH": "False",
        "OPENSEARCH": "True",
        "ELASTICSEARCH_URL": settings.elasticsearch.url,
        "ELASTICSEARCH_TIMEOUT": "300",
    }


def _redis(settings: Settings) -> Redis:
    # The database in a URL overrides the argument `db`.
    return Redis.from_url(urlunsplit(urlsplit(settings.redis.url)._replace(path=f"/{REDIS_DATABASE}")))


def _run(folder: Path, program: str, schema: Path, environment: Mapping[str, str], *further: str) -> None:
    # pgsync writes its checkpoint to a file in the working directory.
    command: list[str | Path] = [folder.resolve() / "bin" / program, "--config", schema.resolve(), *further]
    ran = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise PgsyncFailed(f"{program} ended with {ran.returncode}: {ran.stderr[-2000:]}")


def _require_whole(settings: Settings, orders: int) -> None:
    base = f"{settings.elasticsearch.url}/{INDEX}"
    urllib3.request("POST", f"{base}/_refresh")
    found = urllib3.request("GET", f"{base}/_count").json().get("count")
    if found != orders:
        raise PgsyncFailed(f"{found} documents are in its index, not {orders:,}")
