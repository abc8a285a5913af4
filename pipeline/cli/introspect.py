"""Command `introspect`: definitions of read models for tables of a database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from pipeline.cli.context import context_of, err, out, writing
from pipeline.cli.output_streams import write_data
from pipeline.config import Settings
from pipeline.postgres.catalog import CatalogTable, read_named_tables, read_tables, server_version
from pipeline.postgres.database import connect
from pipeline.setup.declared import differences
from pipeline.setup.introspection import Introspection, to_toml
from pipeline.setup.introspection import introspect as introspect_tables


def introspect(
    context: typer.Context,
    tables: Annotated[
        list[str], typer.Argument(metavar="TABLE…", help="Tables, as `schema.table`; `*` stands for any text.")
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write to this file; an existing one is kept beside it.")
    ] = None,
    diff: Annotated[
        bool, typer.Option("--diff", help="Compare readmodels.toml with the database; exits with 1 if they differ.")
    ] = False,
) -> None:
    """Read tables, keys, types and foreign keys from PostgreSQL, and print `readmodels.toml` for them.

    Documents get their collections from foreign keys. What cannot be captured is left out, with a comment that says why
    and what to do. Nothing in the database is changed. The database is that of READMODELS_SOURCE__URL, of `source.url`
    in readmodels.toml, or of the local stack:

        readmodels introspect 'sales.*' --output readmodels.toml
    """
    shared = context_of(context)
    with closing(connect(shared.source_url)) as connection:
        found = introspect_tables(read_tables(connection, tables), server_version(connection))
        settings = shared.settings() if diff else None
        declared = read_named_tables(connection, (one.source for one in settings.tables.values())) if settings else []
    if settings is not None:
        lines = list(_differences(settings, found, declared))
        for line in lines:
            out.print(line, markup=False, soft_wrap=True)
        if lines:
            raise typer.Exit(1)
        out.print("readmodels.toml and the database agree")
        return
    text = to_toml(found)
    if output is None:
        write_data(text.encode())
        return
    with writing(output):
        kept = _keep(output)
        output.write_text(text, encoding="utf-8")
    if kept is not None:
        err.print(f"the file that was there is now {escape(str(kept))}")
    _print_summary(found, output)


def _keep(output: Path) -> Path | None:
    """Rename an existing file, so that nothing is lost; return its new name."""
    if not output.exists():
        return None
    names = (output.with_name(f"{output.name}.{number}") for number in count(1))
    kept = next(name for name in names if not name.exists())
    output.rename(kept)
    return kept


def _print_summary(found: Introspection, output: Path) -> None:
    err.print(f"{len(found.tables)} tables are in {escape(str(output))}; next: [bold]readmodels init[/]")
    for table, reason, remedy in found.left_out:
        err.print(
            f"[yellow]![/] {escape(table.source)} is left out: {escape(reason)}. {escape(remedy)}", soft_wrap=True
        )


def _differences(settings: Settings, found: Introspection, present: Sequence[CatalogTable]) -> Iterator[str]:
    """Yield one line per difference.

    Args:
        present: the declared tables that exist, also those that no pattern of the command matches.
    """
    actual = {table.source: table for table in present}
    declared = {table.source: (name, table) for name, table in settings.tables.items()}
    for name, source in ((name, table.source) for name, table in found.tables.items()):
        if source not in declared:
            yield f"+ {source}: not in the file; `readmodels introspect` would add it as [tables.{name}]"
    for source, (name, table) in declared.items():
        if source not in actual:
            yield f"- {source}: in the file as [tables.{name}], and not in the database"
            continue
        for one in differences(name, table, actual[source]):
            yield f"~ {one.problem}"
        new = [column.name for column in actual[source].capturable(found.version) if column.name not in table.columns]
        yield from (f"+ {source}.{column}: not in the file" for column in new if column not in table.exclude)
