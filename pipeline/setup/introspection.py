"""Definitions of read models for tables of a database: `readmodels.toml`, as `introspect` prints it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.definitions import TableDefinition
from pipeline.postgres.catalog import CatalogColumn, CatalogTable, ForeignKey

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_HEADER = """\
# What the read models are made of. Names and types are those of the source: types as PostgreSQL prints them
# (`format_type`). After a change here, `readmodels replay` builds the models again from offset zero.
topic_prefix = "cdc"
"""
_OF_DOCUMENTS = """
# A document is a row of its root table with the rows of its collections in arrays."""


@dataclass(frozen=True)
class Introspection:
    """Tables that can be captured, by the name that they get in the definitions, and the others.

    Args:
        version: the server's major version.
        left_out: tables that cannot be captured, each with the reason and what to do.
    """

    version: int
    tables: Mapping[str, CatalogTable]
    left_out: Sequence[tuple[CatalogTable, str, str]] = field(default=())

    def definition(self, name: str) -> TableDefinition:
        """Return the definition of a table, with every column that can be captured."""
        table = self.tables[name]
        return TableDefinition(
            source=table.source,
            key=table.key,
            columns={one.name: one.type for one in table.capturable(self.version) if one.has_avro_name},
            exclude=tuple(column.name for column in table.columns if not column.has_avro_name),
        )


def introspect(tables: Sequence[CatalogTable], version: int) -> Introspection:
    """Choose names for the tables that can be captured, and find reasons for the others."""
    obstacles = [(table, table.obstacle(version) or _avro_obstacle(table)) for table in tables]
    fit = [table for table, obstacle in obstacles if obstacle is None]
    left_out = [(table, *obstacle) for table, obstacle in obstacles if obstacle is not None]
    return Introspection(version, dict(zip(_names(fit), fit, strict=True)), left_out)


def _avro_obstacle(table: CatalogTable) -> tuple[str, str] | None:
    unfit = [column.name for column in table.columns if column.name in table.key and not column.has_avro_name]
    if not unfit:
        return None
    return (
        f"{', '.join(unfit)} is part of its key, and Avro allows only letters, digits and _ in names",
        'Set format = "json" in [envelopes], and declare the table by hand.',
    )


def to_toml(found: Introspection) -> str:
    """Return the definitions as the text of `readmodels.toml`, with a comment for everything that was left out."""
    lines = [_HEADER.rstrip("\n")]
    for table, reason, remedy in found.left_out:
        lines += ["", f"# {_comment(table.source)} is left out: {_comment(reason)}. {_comment(remedy)}"]
    for name in found.tables:
        lines += ["", *_table_lines(name, found)]
    documents = [line for name in found.tables for line in _document_lines(name, found)]
    return "\n".join([*lines, *([_OF_DOCUMENTS, *documents[1:]] if documents else [])]) + "\n"


def _table_lines(name: str, found: Introspection) -> Iterator[str]:
    table, definition = found.tables[name], found.definition(name)
    yield f"[tables.{_key(name)}]"
    yield f"source = {_text(table.source)}"
    yield f"key = {_list(table.key)}"
    if definition.exclude:
        yield '# Avro allows only letters, digits and _ in names. For these columns too: [envelopes] format = "json".'
        yield f"exclude = {_list(definition.exclude)}"
    yield ""
    yield f"[tables.{_key(name)}.columns]"
    for column in table.columns:
        if column.name in definition.columns:
            yield f"{_key(column.name)} = {_text(column.type)}{_domain(column)}"
        elif column.name not in definition.exclude:
            reason = column.obstacle(found.version) or "its name differs from another one in case only"
            yield f"# {_comment(column.name)} is left out: {_comment(reason)}."


def _document_lines(name: str, found: Introspection) -> Iterator[str]:
    owners = _owners(found)
    if name in owners and not _children(name, found):
        return
    yield ""
    yield f"[documents.{_document_name(name)}]"
    yield f"root = {_text(name)}"
    taken = {*found.definition(name).columns}
    for child, foreign_key in _children(name, found):
        lines = [
            f"[documents.{_document_name(name)}.collections.{_key(_field_name(child, foreign_key, taken, found))}]",
            f"table = {_text(child)}",
            f"parent = {_list(_parent(foreign_key, found.tables[name]))}",
        ]
        is_owned = owners.get(child) == (name, foreign_key)
        yield ""
        yield from lines if is_owned else ["# Also possible:", *(f"# {line}" for line in lines)]


def _children(name: str, found: Introspection) -> list[tuple[str, ForeignKey]]:
    """Return the tables that refer to the key of a table, each with the foreign key."""
    root = found.tables[name]
    return [
        (child, one)
        for child, table in found.tables.items()
        for one in table.foreign_keys
        if child != name
        and one.target == root.source
        and {*one.target_columns} == {*root.key}
        and {*one.columns} <= {*found.definition(child).columns}
    ]


def _owners(found: Introspection) -> dict[str, tuple[str, ForeignKey]]:
    """Return the one document to which each child table belongs, with the foreign key.

    A row that is deleted with its parent, or whose key contains that of its parent, is a part of it. So is a row of a
    table that is named after its parent. Of the others, only tables to which no table refers are parts: of the first
    table to which they refer.
    """
    chosen: dict[str, tuple[int, str, ForeignKey]] = {}
    for name in found.tables:
        for child, one in _children(name, found):
            rank = _rank(name, child, one, found)
            if rank > 0 and (child not in chosen or rank > chosen[child][0]):
                chosen[child] = (rank, name, one)
    return {child: (name, one) for child, (_, name, one) in chosen.items()}


def _rank(name: str, child: str, one: ForeignKey, found: Introspection) -> int:
    table, root = found.tables[child], found.tables[name]
    is_leading = table.key[: len(one.columns)] == one.columns and len(table.key) > len(one.columns)
    is_named_after = table.name.lower().startswith(root.name.lower().removesuffix("s"))
    if one.is_cascade or is_leading or is_named_after:
        return 8 + 4 * is_named_after + 2 * is_leading + one.is_cascade
    columns = [column.name for column in table.columns]
    return 0 if _children(child, found) else max(1, 7 - min(columns.index(each) for each in one.columns))


def _parent(foreign_key: ForeignKey, root: CatalogTable) -> list[str]:
    """Return the columns that contain the root's key, in the order of the key."""
    of_target = dict(zip(foreign_key.target_columns, foreign_key.columns, strict=True))
    return [of_target[column] for column in root.key]


def _field_name(child: str, foreign_key: ForeignKey, taken: set[str], found: Introspection) -> str:
    name = child.replace("/", "_")
    references = [one for one in found.tables[child].foreign_keys if one.target == foreign_key.target]
    if len(references) > 1 or name in taken or name == "readmodels":
        name = f"{name}_by_{'_'.join(foreign_key.columns)}".replace("/", "_")
    taken.add(name)
    return name


def _names(tables: Sequence[CatalogTable]) -> list[str]:
    """Return a name for each table: its own, with its schema or a number if another one has it."""
    plain = [_plain(table.name) for table in tables]
    with_schema = [
        one if plain.count(one) == 1 else _plain(f"{table.schema}_{table.name}")
        for one, table in zip(plain, tables, strict=True)
    ]
    names: list[str] = []
    for one in with_schema:
        free = (candidate for candidate in [one, *(f"{one}_{number}" for number in range(2, len(tables) + 2))])
        names.append(next(candidate for candidate in free if candidate not in names))
    return names


def _plain(name: str) -> str:
    """Return a name in lower case, with `_` between words and for everything that is no letter or digit."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return re.sub(r"[^a-z0-9_]+", "_", words.lower()).strip("_") or "t"


def _document_name(name: str) -> str:
    return name[:100]


def _domain(column: CatalogColumn) -> str:
    return f"  # {_comment(column.declared_type)}" if column.declared_type != column.type else ""


def _key(name: str) -> str:
    return name if _BARE_KEY.fullmatch(name) else _text(name)


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _list(names: Sequence[str]) -> str:
    return f"[{', '.join(map(_text, names))}]"


def _comment(text: str) -> str:
    """Return a text on one line, so that it cannot end a comment."""
    return re.sub(r"[\x00-\x1f\x7f\x85\u2028\u2029]+", " ", text)
