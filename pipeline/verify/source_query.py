"""The query that has PostgreSQL write documents or rows as read models must show them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from psycopg import sql

from pipeline.contract import Table
from pipeline.verify.source_images import image_columns
from pipeline.verify.source_text import json_text
from pipeline.verify.subject import Children, Form, Subject
from sinks.column_type import parse
from sinks.shape import ROOT

_INTEGERS = ("smallint", "integer", "bigint")
_MOMENTS = ("timestamp", "timestamptz", "date")
_NUMBER = re.compile(r"-?[0-9]{1,19}", re.ASCII)

ChildFilter = Callable[[Sequence[str], Table], sql.Composable]
"""What chooses child rows by the columns that hold their parent's key."""


@dataclass(frozen=True)
class SourceQuery:
    """Queries for one subject.

    Every row of an answer is (key, text, version, rows): the key as the model has it, the whole document as JSON text,
    what changes whenever a row of it does (`xmin`), and how many rows of the source it is made of.
    """

    subject: Subject

    def all(self) -> sql.Composed:
        """Everything, in no order, as a COPY of key, digest and rows: a digest costs less than its text to carry."""
        return sql.SQL(
            "COPY (SELECT key, md5(text), rows FROM ({everything}) AS found (key, text, version, rows))"
            " TO STDOUT (FORMAT csv)"
        ).format(everything=self.texts())

    def texts(self) -> sql.Composed:
        """Everything, in no order."""
        return self._select(sql.SQL("true"), lambda _columns, _table: sql.SQL("true"))

    def some(self, keys: Sequence[str]) -> sql.Composed:
        """What has these keys; one that cannot be a key of the table is not there."""
        root = self.subject.root
        return self._select(
            _is_among("root", root.key, root, keys),
            lambda columns, table: _is_among("child", columns, table, keys),
        )

    def images(self, collection: str, keys: Sequence[str]) -> sql.Composed:
        """The rows of one collection, or of the root, that belong to these keys: the key, and every column's value."""
        table, owner = self._tables()[collection]
        return sql.SQL("SELECT {key}, {columns} FROM {table} AS image WHERE {filter}").format(
            key=_key(_in("image", owner)),
            columns=sql.SQL(", ").join(image_columns(table, "image")),
            table=_named(table),
            filter=_is_among("image", owner, table, keys),
        )

    def any_keys(self, count: int) -> sql.Composed:
        """The keys of some rows, chosen at random."""
        return sql.SQL("SELECT {key} FROM {table} AS root ORDER BY random() LIMIT {count}").format(
            key=_key(_in("root", self.subject.root.key)), table=_named(self.subject.root), count=sql.Literal(count)
        )

    def keys_since(self, since: str) -> sql.Composed | None:
        """The keys of what has a row of which any moment is at or after `since`; None where no table has a moment."""
        found = [
            sql.SQL("SELECT {key} FROM {table} AS changed WHERE {moments}").format(
                key=_key(_in("changed", key)),
                table=_named(table),
                moments=sql.SQL(" OR ").join(
                    sql.SQL("{} >= {}").format(column, sql.Literal(since)) for column in _in("changed", _moments(table))
                ),
            )
            for table, key in self._tables().values()
            if _moments(table)
        ]
        return sql.SQL(" UNION ").join(found) if found else None

    def _tables(self) -> dict[str, tuple[Table, tuple[str, ...]]]:
        """By collection, its table and the columns that hold the document's key."""
        children = {name: (child.table, child.parent) for name, child in self.subject.collections.items()}
        return {ROOT: (self.subject.root, self.subject.root.key), **children}

    def _select(self, root_filter: sql.Composable, child_filter: ChildFilter) -> sql.Composed:
        subject = self.subject
        arrays = {name: sql.Identifier(f"collection {place}") for place, name in enumerate(subject.collections)}
        return sql.SQL("SELECT {key}, {text}, {version}, {rows} FROM {table} AS root {joins} WHERE {filter}").format(
            key=_key(_in("root", subject.root.key)),
            text=_object(subject.root, "root", subject.form, arrays),
            version=_joined([sql.SQL("root.xmin::text"), *(_of(array, "version") for array in arrays.values())]),
            rows=sql.SQL(" + ").join(
                [sql.SQL("1"), *(sql.SQL("coalesce({}, 0)").format(_of(array, "rows")) for array in arrays.values())]
            ),
            table=_named(subject.root),
            joins=sql.SQL(" ").join(
                _join(subject.root, child, arrays[name], child_filter(child.parent, child.table))
                for name, child in subject.collections.items()
            ),
            filter=root_filter,
        )


def _join(root: Table, child: Children, array: sql.Identifier, child_filter: sql.Composable) -> sql.Composed:
    # Aggregated apart, and joined once: an index on the parent's columns helps, but is not needed.
    own = _in("child", child.parent)
    names = [sql.Identifier(f"parent {place}") for place in range(len(own))]
    return sql.SQL(
        "LEFT JOIN (SELECT {parents}, string_agg({text}, ',' ORDER BY {order}) AS text, count(*) AS rows,"
        " string_agg({key} || ' ' || child.xmin::text, ',' ORDER BY {order}) AS version"
        " FROM {table} AS child WHERE {filter} GROUP BY {own}) AS {array} ON {on}"
    ).format(
        parents=sql.SQL(", ").join(
            sql.SQL("{} AS {}").format(column, name) for column, name in zip(own, names, strict=True)
        ),
        text=_object(child.table, "child", Form.DOCUMENT, {}),
        order=sql.SQL(", ").join(_sortable(column, child.table) for column in child.table.key),
        key=_key(_in("child", child.table.key)),
        table=_named(child.table),
        filter=child_filter,
        own=sql.SQL(", ").join(own),
        array=array,
        on=sql.SQL(" AND ").join(
            sql.SQL("{}.{} = {}").format(array, name, column)
            for name, column in zip(names, _in("root", root.key), strict=True)
        ),
    )


def _object(table: Table, alias: str, form: Form, arrays: Mapping[str, sql.Identifier]) -> sql.Composed:
    pieces: list[sql.Composable] = []
    for name, text in table.columns.items():
        value = json_text(sql.Identifier(alias, name), text, form)
        pieces += [_label(name, not pieces), sql.SQL("coalesce({}, 'null')").format(value)]
    for name, array in arrays.items():
        pieces += [_label(name, not pieces), sql.SQL("'[' || coalesce({}, '') || ']'").format(_of(array, "text"))]
    return sql.SQL("{} || '}}'").format(sql.SQL(" || ").join(pieces))


def _label(name: str, is_first: bool) -> sql.Literal:
    return sql.Literal(f"{'{' if is_first else ','}{json.dumps(name, ensure_ascii=False)}:")


def _key(columns: Sequence[sql.Composable]) -> sql.Composable:
    """A key as the models write it: its columns' text, joined by `:` where there are several."""
    if len(columns) == 1:
        return sql.SQL("{}::text").format(columns[0])
    escape = sql.SQL(r"replace(replace({}::text, '\', '\\'), ':', '\:')")
    return sql.SQL(" || ':' || ").join(escape.format(column) for column in columns)


def _sortable(name: str, table: Table) -> sql.Composed:
    column = sql.Identifier("child", name)
    is_number = parse(table.columns[name]).name in _INTEGERS
    return (sql.SQL("{}") if is_number else sql.SQL('{}::text COLLATE "C"')).format(column)


def _is_among(alias: str, names: Sequence[str], table: Table, keys: Sequence[str]) -> sql.Composed:
    columns = _in(alias, names)
    kind = parse(table.columns[names[0]]).name
    if len(names) == 1 and kind in _INTEGERS:
        # An index serves this; the text of a number would not find it.
        numbers = [int(key) for key in keys if _NUMBER.fullmatch(key) and abs(int(key)) < 2**63]
        return sql.SQL("{} = ANY({}::bigint[])").format(columns[0], sql.Literal(numbers))
    return sql.SQL("{} = ANY({}::text[])").format(_key(columns), sql.Literal(list(keys)))


def _in(alias: str, names: Sequence[str]) -> list[sql.Identifier]:
    return [sql.Identifier(alias, name) for name in names]


def _of(array: sql.Identifier, field: str) -> sql.Composed:
    return sql.SQL("{}.{}").format(array, sql.Identifier(field))


def _joined(texts: Sequence[sql.Composable]) -> sql.Composed:
    return sql.SQL("concat_ws('/', {})").format(sql.SQL(", ").join(texts))


def _named(table: Table) -> sql.Identifier:
    return sql.Identifier(*table.source.split("."))


def _moments(table: Table) -> list[str]:
    return [name for name, text in table.columns.items() if parse(text).name in _MOMENTS and not parse(text).is_array]
