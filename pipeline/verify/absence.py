"""Rows that a model shows and PostgreSQL lacks. Each one is looked up in PostgreSQL before it is deleted.

The comparison works on texts, and two different texts do not prove that a row is absent: PostgreSQL may hold the row
under another text, such as one that an earlier version wrote. The lookup uses the equality of the key's column types.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.ingest.key_text import UnfitKey
from pipeline.stores.read_model import ModelKind
from pipeline.verify.comparison_set import ComparisonSet
from pipeline.verify.json_value import Malformed, parsed
from pipeline.verify.readers.row_key import columns_of_shown, key_columns, key_images, label_of, part_of_shown
from pipeline.verify.source.reader import SourceReader, SourceRow
from sinks.batch import Mutations
from sinks.shape import ROOT

HELD = "PostgreSQL holds the row, and writes its key in another way"


@dataclass(frozen=True)
class SurplusRow:
    """Row that PostgreSQL lacks.

    Args:
        part: its part of the document; ROOT for the root row and for a table's row.
        fields: its fields, as the model shows them.
    """

    part: str
    fields: Mapping[str, Any]


@dataclass
class Surplus:
    """Rows of one document or table row that the model shows and PostgreSQL lacks.

    Args:
        rows: rows whose absence is proved.
        withheld: rows that are not deleted, each with the reason.
    """

    rows: list[SurplusRow] = field(default_factory=list)
    withheld: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Absences:
    """Lookup in PostgreSQL of rows that seem to be absent.

    Args:
        written: key and part of every row that the same repair writes. Those rows exist.
    """

    source: SourceReader
    subject: ComparisonSet
    written: frozenset[tuple[str, str]]

    def of(self, key: str, shown: str | None, held: SourceRow | None) -> Surplus:
        """Return the rows that a document or row shows and PostgreSQL lacks.

        Args:
            shown: the document or row as JSON text; None if the model shows none.
            held: the row of PostgreSQL under the key.
        """
        found = Surplus()
        fields = self._fields(shown)
        if held is None and shown is not None:
            self._add(found, key, ROOT, fields)
            if found.withheld:
                return found
        expected = parsed(held.text) if held is not None else {}
        for collection, children in self.subject.collections.items():
            own = children.shown_key
            rightful = {label_of(item, own) for item in expected.get(collection, ())}
            items = fields.get(collection)
            for item in items if isinstance(items, list) else ():
                if isinstance(item, dict) and label_of(item, own) not in rightful:
                    self._add(found, key, collection, item)
        return found

    def _fields(self, shown: str | None) -> dict[str, Any]:
        # The text of a duplicated row has one line per copy.
        text = shown.partition("\n")[0] if shown and self.subject.form is ModelKind.ROW else shown
        try:
            fields = parsed(text or "{}")
        except Malformed:
            return {}
        return fields if isinstance(fields, dict) else {}

    def _add(self, found: Surplus, key: str, collection: str, fields: Mapping[str, Any]) -> None:
        try:
            part, row_key = self._place(key, collection, fields)
            if (key, part) in self.written:
                return
            if not self.source.is_held(self.subject, collection, key, row_key):
                found.rows.append(SurplusRow(part, fields))
                return
            reason = HELD
        except UnfitKey as error:
            reason = str(error)
        found.withheld.append(f"{collection or self.subject.name} not deleted: {reason}")

    def _place(self, key: str, collection: str, fields: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
        """Return the part of a row, and the key texts of a child row by column."""
        if collection:
            view = self.subject.collections[collection]
            row_key = key_columns(fields, view, key)
            return f"{collection}/{part_of_shown(row_key, view.table)}", columns_of_shown(row_key, view.table)
        if self.subject.form is ModelKind.ROW:
            key_images(self.subject.root.table, [fields])
        return ROOT, {}


def parts_of(mutations: Iterable[Mutations]) -> frozenset[tuple[str, str]]:
    """Return key and part of every change of a document; rows of tables have none."""
    return frozenset(
        place
        for one in mutations
        if "part" in one.changes.column_names
        for place in zip(one.changes["key"].to_pylist(), one.changes["part"].to_pylist(), strict=True)
    )
