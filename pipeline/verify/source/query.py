"""Queries with which PostgreSQL writes documents or rows as read models must show them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from psycopg import sql

from pipeline.definitions import TableDefinition
from pipeline.ingest.key_text import columns_of, integer_of, key_type
from pipeline.stores.read_model import ModelKind
from pipeline.table_view import TableView
from pipeline.verify.comparison_set import ComparisonSet
from pipeline.verify.source.json_text import json_text
from pipeline.verify.source.row_filter import is_shown
from pipeline.verify.source.row_images import image_columns
from sinks.pg_type import parse_pg_type

_INTEGERS = ("smallint", "integer", "bigint")
_MOMENTS = ("timestamp", "timestamptz", "date")

ChildFilter = Callable[[TableView], sql.Composable]
"""Filter of the child rows of a view."""


@dataclass(frozen=True)
class SourceQuery:
    """Queries for one comparison set.

    Each result row is (key, text, version, rows): the key as the model has it, the whole document as JSON text, a text
    that changes whenever one of its rows is written (from `xmin`), and the number of source rows.
    """

    subject: ComparisonSet

    def all(self) -> sql.Composed:
        """Return an unordered COPY of key, digest and rows. The digest is smaller to transfer than the text."""
        return sql.SQL(
            "COPY (SELECT key, md5(text), rows FROM ({everything}) AS found (key, text, version, rows))"
            " TO STDOUT (FORMAT csv)"
        ).format(everything=self.texts())

    def texts(self) -> sql.Composed:
        """Return an unordered query for all documents or rows."""
        return self._select(sql.SQL("true"), lambda _child: sql.SQL("true"))

    def some(self, keys: Sequence[str]) -> sql.Composed:
        """Return a query for these keys. A key that is not valid for the table matches nothing."""
        return self._select(_is_among("root", self.subject.root, keys), lambda child: _is_among("child", child, keys))

    def images(self, collection: str, keys: Sequence[str]) -> sql.Composed:
        """Return a query for the rows of one collection, or of the root, under these keys: the key and all columns.

        The rows that the view does not show are among them: a repair writes that they are absent.
        """
        view = self.subject.views[collection]
        return sql.SQL("SELECT {key}, {columns} FROM {table} AS image WHERE {filter}").format(
            key=_key("image", view.owner, view.table),
            columns=sql.SQL(", ").join(image_columns(view.table, "image")),
            table=_named(view.table),
            filter=_is_among("image", view, keys),
        )

    def any_keys(self, count: int) -> sql.Composed:
        """Return a query for the keys of rows chosen at random."""
        root = self.subject.root
        return sql.SQL("SELECT {key} FROM {table} AS root WHERE {filter} ORDER BY random() LIMIT {count}").format(
            filter=is_shown(root, "root"),
            key=_key("root", root.owner, root.table),
            table=_named(root.table),
            count=sql.Literal(count),
        )

    def keys_since(self, since: str) -> sql.Composed | None:
        """Return a query for keys with any date or timestamp at or after `since`; None if no table has such a type."""
        found = [
            sql.SQL("SELECT {key} FROM {table} AS changed WHERE {moments}").format(
                key=_key("changed", view.owner, view.table),
                table=_named(view.table),
                moments=sql.SQL(" OR ").join(
                    sql.SQL("{} >= {}").format(column, sql.Literal(since))
                    for column in _in("changed", _moments(view.table))
                ),
            )
            for view in self.subject.views.values()
            if _moments(view.table)
        ]
        return sql.SQL(" UNION ").join(found) if found else None

    def is_held(self, collection: str, key: str, row_key: Mapping[str, str]) -> sql.Composed:
        """Return a query that checks whether a table holds a row, by the equality of its columns' types.

        Args:
            collection: collection of the row, or the root.
            key: of the document or row that it belongs to.
            row_key: of a child row, the texts of its own key by column.

        Raises:
            UnfitKey: the key does not have the right number of columns.
        """
        view = self.subject.views[collection]
        texts = [*zip(view.owner, columns_of(key, len(view.owner)), strict=True), *row_key.items()]
        return sql.SQL("SELECT EXISTS (SELECT FROM {table} AS held WHERE {equal})").format(
            table=_named(view.table),
            equal=sql.SQL(" AND ").join(
                sql.SQL("{} = {}").format(
                    sql.Identifier("held", name), sql.Literal(key_type(view.table.columns[name]).literal(text))
                )
                for name, text in texts
            ),
        )

    def _select(self, root_filter: sql.Composable, child_filter: ChildFilter) -> sql.Composed:
        subject = self.subject
        arrays = {name: sql.Identifier(f"collection {place}") for place, name in enumerate(subject.collections)}
        return sql.SQL("SELECT {key}, {text}, {version}, {rows} FROM {table} AS root {joins} WHERE {filter}").format(
            key=_key("root", subject.root.owner, subject.root.table),
            text=_object(subject.root, "root", subject.form, arrays),
            version=_joined([sql.SQL("root.xmin::text"), *(_of(array, "version") for array in arrays.values())]),
            rows=sql.SQL(" + ").join(
                [sql.SQL("1"), *(sql.SQL("coalesce({}, 0)").format(_of(array, "rows")) for array in arrays.values())]
            ),
            table=_named(subject.root.table),
            joins=sql.SQL(" ").join(
                _join(subject.root, child, arrays[name], _both(child_filter(child), is_shown(child, "child")))
                for name, child in subject.collections.items()
            ),
            filter=_both(root_filter, is_shown(subject.root, "root")),
        )


def _join(root: TableView, child: TableView, array: sql.Identifier, child_filter: sql.Composable) -> sql.Composed:
    # Aggregate first, then join once: an index on the parent's columns helps but is not required.
    own = _in("child", child.owner)
    names = [sql.Identifier(f"parent {place}") for place in range(len(own))]
    return sql.SQL(
        "LEFT JOIN (SELECT {parents}, string_agg({text}, ',' ORDER BY {order}) AS text, count(*) AS rows,"
        " string_agg({key} || ' ' || child.xmin::text, ',' ORDER BY {order}) AS version"
        " FROM {table} AS child WHERE {filter} GROUP BY {own}) AS {array} ON {on}"
    ).format(
        parents=sql.SQL(", ").join(
            sql.SQL("{} AS {}").format(column, name) for column, name in zip(own, names, strict=True)
        ),
        text=_object(child, "child", ModelKind.DOCUMENT, {}),
        order=_part_order("child", child.table),
        key=_key("child", child.table.key, child.table),
        table=_named(child.table),
        filter=child_filter,
        own=sql.SQL(", ").join(own),
        array=array,
        on=sql.SQL(" AND ").join(
            sql.SQL("{}.{} = {}").format(array, name, column)
            for name, column in zip(names, _in("root", root.owner), strict=True)
        ),
    )


def _both(one: sql.Composable, other: sql.Composable) -> sql.Composed:
    return sql.SQL("{} AND {}").format(one, other)


def _object(view: TableView, alias: str, form: ModelKind, arrays: Mapping[str, sql.Identifier]) -> sql.Composed:
    pieces: list[sql.Composable] = []
    for column, shown in view.fields.items():
        value = json_text(sql.Identifier(alias, column), view.table.columns[column], form)
        pieces += [_label(shown, not pieces), sql.SQL("coalesce({}, 'null')").format(value)]
    for name, array in arrays.items():
        pieces += [_label(name, not pieces), sql.SQL("'[' || coalesce({}, '') || ']'").format(_of(array, "text"))]
    return sql.SQL("{} || '}}'").format(sql.SQL(" || ").join(pieces))


def _label(name: str, is_first: bool) -> sql.Literal:
    return sql.Literal(f"{'{' if is_first else ','}{json.dumps(name, ensure_ascii=False)}:")


def _key(alias: str, names: Sequence[str], table: TableDefinition) -> sql.Composable:
    """Return an SQL expression for a key as the models write it: its columns' texts, joined by `:` if several."""
    return _escaped(_key_texts(alias, names, table), ":") if len(names) > 1 else _key_texts(alias, names, table)[0]


def _key_texts(alias: str, names: Sequence[str], table: TableDefinition) -> list[sql.Composed]:
    return [sql.SQL(key_type(table.columns[name]).postgresql).format(c=sql.Identifier(alias, name)) for name in names]


def _escaped(texts: Sequence[sql.Composable], separator: str) -> sql.Composed:
    escape = sql.SQL(r"replace(replace({text}, '\', '\\'), {separator}, {escaped})")
    joint = sql.SQL(f" || '{separator}' || ")
    return joint.join(
        escape.format(text=text, separator=sql.Literal(separator), escaped=sql.Literal(f"\\{separator}"))
        for text in texts
    )


def _part_order(alias: str, table: TableDefinition) -> sql.Composed:
    """Return the sort order of child rows in documents: by integer keys, or by the texts of other keys."""
    texts = [
        sql.Identifier(alias, name)
        if parse_pg_type(table.columns[name]).name in _INTEGERS
        else sql.SQL('({}) COLLATE "C"').format(text)
        for name, text in zip(table.key, _key_texts(alias, table.key, table), strict=True)
    ]
    return sql.SQL(", ").join(texts)


def _is_among(alias: str, view: TableView, keys: Sequence[str]) -> sql.Composed:
    names, table = view.owner, view.table
    if len(names) == 1 and parse_pg_type(table.columns[names[0]]).name in _INTEGERS:
        # Compare integers because an index on the column cannot be used with the number's text.
        numbers = [number for key in keys if (number := integer_of(key)) is not None]
        return sql.SQL("{} = ANY({}::bigint[])").format(sql.Identifier(alias, names[0]), sql.Literal(numbers))
    return sql.SQL("{} = ANY({}::text[])").format(_key(alias, names, table), sql.Literal(list(keys)))


def _in(alias: str, names: Sequence[str]) -> list[sql.Identifier]:
    return [sql.Identifier(alias, name) for name in names]


def _of(array: sql.Identifier, field: str) -> sql.Composed:
    return sql.SQL("{}.{}").format(array, sql.Identifier(field))


def _joined(texts: Sequence[sql.Composable]) -> sql.Composed:
    return sql.SQL("concat_ws('/', {})").format(sql.SQL(", ").join(texts))


def _named(table: TableDefinition) -> sql.Identifier:
    return sql.Identifier(*table.source.split("."))


def _moments(table: TableDefinition) -> list[str]:
    return [
        name
        for name, text in table.columns.items()
        if parse_pg_type(text).name in _MOMENTS and not parse_pg_type(text).is_array
    ]
