"""Recorder of the golden change records, with a comparison with the stored ones.

    python -m tests.golden.record [--debezium VERSION] [--only NAME] [--execute]

A separate stack is started below `.readmodels-golden/` and stopped again. With another version of Debezium, its
connector and dependencies come from Maven into the same cache as everything else. Exit code 3 says that something
differs; `--execute` replaces the stored recordings by the new ones.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import psycopg
import typer
from rich.console import Console

from stack.artifacts import default_cache
from stack.errors import StackError
from stack.local import LocalStack
from stack.progress import ConsoleReport
from stack.update_lock import with_debezium, write
from tests.golden import cases
from tests.golden.catalogue import COLUMNS, SCHEMA, TABLE, VARIANTS, Variant
from tests.golden.difference import differences, version
from tests.golden.expectation import EXPECTATION
from tests.golden.recorder import PREFIX, ROLE, Recorder, base64_of, lines_of
from tests.golden.recording import GOLDEN, Image

HOME = Path(".readmodels-golden")
SERVERS = ("postgres", "kafka", "registry", "connect")
CATALOGUE_TOPIC = f"{PREFIX}.{TABLE}"
MESSAGE_TOPIC = f"{PREFIX}.message"
END = "SELECT pg_logical_emit_message(true, 'golden-end', '')"
SHOWN_DIFFERENCES = 40
"""Limit per recording, because a new field appears in every record."""

NAMES = (*VARIANTS, *cases.FORMATS)
Change = tuple[str, Image, Image]

out = Console(highlight=False, soft_wrap=True)


def main(
    debezium: Annotated[
        str | None, typer.Option(help="Another version, as 3.6.3.Final; by default the locked one.")
    ] = None,
    only: Annotated[list[str] | None, typer.Option(help=f"One of {', '.join(NAMES)}; repeatable.")] = None,
    execute: Annotated[bool, typer.Option("--execute", help="Replace the kept recordings.")] = False,
) -> None:
    """Record from a real connector, and compare with the stored recording."""
    try:
        with _servers(debezium) as recorder:
            found = [_differs(name, _recorded(recorder, name), execute) for name in only or NAMES]
    except StackError as error:
        out.print(str(error), style="red", markup=False)
        raise typer.Exit(1) from error
    raise typer.Exit(3 if any(found) else 0)


@contextmanager
def _servers(debezium: str | None) -> Iterator[Recorder]:
    report = ConsoleReport(Console(stderr=True, highlight=False))
    with TemporaryDirectory() as folder:
        lock = None
        if debezium is not None:
            lock = Path(folder) / "artifacts.lock"
            write(with_debezium(debezium, default_cache() / "resolving"), lock)
        stack = LocalStack(HOME, lock=lock)
        # An aborted recording may have left servers of another version running.
        stack.down(report)
        try:
            yield Recorder(stack.up(report, SERVERS))
        finally:
            stack.down(report)


def _recorded(recorder: Recorder, name: str) -> str:
    out.print(f"[dim]recording {name}[/]")
    return _catalogue(recorder, VARIANTS[name]) if name in VARIANTS else _cases(recorder, name)


def _differs(name: str, now: str, execute: bool) -> bool:
    """Print the differences from the stored recording, and return whether it differs or is missing."""
    file = GOLDEN / f"{name}.jsonl"
    kept = file.read_text() if file.exists() else None
    found = differences(kept, now) if kept is not None else ["there is no recording yet"]
    of = f"{version(kept)} → {version(now)}" if kept is not None else version(now)
    out.print(f"{name}, {of}: {f'{len(found)} differences' if found else 'no difference'}", markup=False)
    for line in found[:SHOWN_DIFFERENCES]:
        out.print(f"  {line}", markup=False)
    if len(found) > SHOWN_DIFFERENCES:
        out.print(f"  … and {len(found) - SHOWN_DIFFERENCES} more")
    if execute:
        file.write_text(now)
    return bool(found)


def _catalogue(recorder: Recorder, variant: Variant) -> str:
    """Return the recording of every type in one variant: a line about it, one per record, one per expected change."""
    settings = {"table.include.list": TABLE, **variant.settings}
    with recorder.database() as connection, recorder.topics([CATALOGUE_TOPIC]):
        _prepare_catalogue(connection)
        changes: list[Change] = [("r", None, image) for image in _insert(connection, variant, first_id=1)]
        with recorder.connector(settings):
            recorder.read(CATALOGUE_TOPIC, len(changes))
            changes += _change(connection, variant)
            values = [record.value for record in recorder.read(CATALOGUE_TOPIC, len(changes))]
    # A JSON value repeats its whole schema.
    first = next(value for value in values if value is not None)
    prefix = first.partition(b'"payload":')[0] if first.startswith(b'{"schema":') else b""
    return lines_of(
        {
            "topic": CATALOGUE_TOPIC,
            "table": TABLE,
            "columns": COLUMNS,
            "schemas": recorder.schemas(values),
            "prefix": base64_of(prefix),
        },
        *({"value": None if value is None else base64_of(value.removeprefix(prefix))} for value in values),
        *({"op": op, "before": before, "after": after} for op, before, after in changes),
    )


def _prepare_catalogue(connection: psycopg.Connection[Any]) -> None:
    connection.execute(SCHEMA)
    columns = ", ".join(
        f"{name} {kind}{' NOT NULL' if name.startswith('required') else ''}" for name, kind in COLUMNS.items()
    )
    connection.execute(f"CREATE TABLE {TABLE} ({columns}, PRIMARY KEY (id))".encode())
    connection.execute(f"ALTER TABLE {TABLE} REPLICA IDENTITY FULL".encode())
    connection.execute(f"CREATE PUBLICATION {PREFIX} FOR TABLE {TABLE}".encode())
    connection.execute(f"GRANT SELECT ON {TABLE} TO {ROLE}".encode())


def _insert(connection: psycopg.Connection[Any], variant: Variant, first_id: int) -> list[Image]:
    images = []
    for row_id, row in enumerate(variant.rows, first_id):
        columns = ", ".join(row)
        connection.execute(f"INSERT INTO {TABLE} (id, {columns}) VALUES ({row_id}, {', '.join(row.values())})".encode())
        images.append(_expected(connection, row_id))
    return images


def _change(connection: psycopg.Connection[Any], variant: Variant) -> list[Change]:
    """Insert, update, delete, change the key and truncate; return the expected changes."""
    first_id = 11
    inserted = _insert(connection, variant, first_id)
    changes: list[Change] = [("c", None, image) for image in inserted]

    connection.execute(f"UPDATE {TABLE} SET a_smallint = 8 WHERE id = {first_id}")
    changes.append(("u", inserted[0], _expected(connection, first_id)))

    infinite = first_id + len(inserted) - 2
    connection.execute(f"DELETE FROM {TABLE} WHERE id = {infinite}")
    changes.append(("d", inserted[-2], None))

    connection.execute(f"UPDATE {TABLE} SET id = 99 WHERE id = {first_id + 2}")
    changes.append(("d", inserted[2], None))
    changes.append(("c", None, _expected(connection, 99)))

    connection.execute(f"TRUNCATE {TABLE}")
    changes.append(("t", None, None))
    return changes


def _expected(connection: psycopg.Connection[Any], row_id: int) -> Image:
    row = connection.execute(EXPECTATION.encode(), [row_id]).fetchone()
    if row is None:
        raise LookupError(f"row {row_id} is not there")
    image: Image = row[0]
    return image


def _cases(recorder: Recorder, name: str) -> str:
    """Return the recording of every case in one format: a line with the schemas, and one per record, topic by topic."""
    topics = [f"{PREFIX}.public.{table}" for table in cases.TABLES]
    heartbeats = f"__debezium-heartbeat.{PREFIX}"
    own = [*topics, MESSAGE_TOPIC, heartbeats, f"{PREFIX}.public.signal"]
    with recorder.database() as connection, recorder.topics(own):
        cases.prepare(connection, PREFIX, ROLE)
        # Create the slot before the snapshot; later, its creation would wait for the open transaction.
        connection.execute(f"SELECT pg_create_logical_replication_slot('{PREFIX}', 'pgoutput', failover => true)")
        with psycopg.connect(recorder.url) as in_flight:
            in_flight.execute("UPDATE in_flight SET note = 'in flight'")
            with recorder.connector({**cases.SETTINGS, **cases.FORMATS[name]}):
                for table, rows in cases.SNAPSHOT_ROWS.items():
                    recorder.read(f"{PREFIX}.public.{table}", rows)
                in_flight.commit()
                source = cases.Source(
                    connection, recorder.url, lambda table, count: recorder.read(f"{PREFIX}.public.{table}", count)
                )
                for act in cases.ACTS:
                    act(source)
                connection.execute(END)
                recorder.read(MESSAGE_TOPIC, cases.MESSAGES + 1)
                records = recorder.read_all([*topics, MESSAGE_TOPIC])
                records += recorder.read(heartbeats, 1)
    schemas = recorder.schemas(record.value for record in records)
    return lines_of({"schemas": schemas}, *(record.to_json() for record in records))


if __name__ == "__main__":
    typer.run(main)
