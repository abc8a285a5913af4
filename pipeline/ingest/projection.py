"""Projection of envelopes to mutations: rows for a row model, parts for a document model. Pure: no clock, client or
log.

Only this module turns a child row that moved between documents into a deletion in one and an image in the other.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from connectors.envelope import NESTED
from pipeline.definitions import ModelDefinitions, TableDefinition
from pipeline.ingest.epoch_history import NO_EPOCHS, EpochHistory
from pipeline.ingest.json_text import nested_arrays, rows_to_json, struct_field
from pipeline.ingest.key_text import key_text, part_text
from pipeline.ingest.row_filter import matches
from pipeline.table_view import TableView
from sinks.batch import HISTORY_COLUMNS, PART_COLUMNS, SPECIAL_COLUMNS, Mutations
from sinks.ordering.columns import ORDER_COLUMNS
from sinks.ordering.fold import compact
from sinks.ordering.range_tombstone import RangeTombstone, TombstoneKind
from sinks.ordering.register import REWRITE_TIEBREAK
from sinks.pg_type import PgType, parse_pg_type
from sinks.shape import ROOT, tombstone_scope


@dataclass(frozen=True)
class ProjectionResult:
    """Mutations and range tombstones that a table of envelopes requires."""

    mutations: tuple[Mutations, ...]
    range_tombstones: tuple[RangeTombstone, ...]


class Projection(Protocol):
    """Projection for one kind of read model."""

    def __call__(self, table: str, envelopes: pa.Table) -> ProjectionResult:
        """Return the changes that follow from the envelopes of one table, named as in the definitions."""


@dataclass(frozen=True)
class RowProjection:
    """Projection to rows, keyed by table and primary key. Every version is passed on, for the history."""

    definitions: ModelDefinitions
    epoch_history: EpochHistory = NO_EPOCHS

    def __call__(self, table: str, envelopes: pa.Table) -> ProjectionResult:
        changes, truncates = _split_truncates(
            _with_epochs(envelopes, self.definitions.topic(table), self.epoch_history)
        )
        range_tombstones = _truncates(truncates, [table])
        if not changes.num_rows:
            return ProjectionResult((), range_tombstones)
        shape = self.definitions.tables[table]
        deleted = pc.equal(changes["op"], "d")
        after, before = changes["after"], changes["before"]
        columns = {
            name: pc.if_else(deleted, _key_only(before, name, shape), struct_field(after, name))
            for name in shape.columns
        }
        if (special := _special(after, shape)) is not None:
            columns[SPECIAL_COLUMNS] = pc.if_else(deleted, pa.scalar(None, pa.string()), special)
        facts = dict(zip(HISTORY_COLUMNS.names, (changes["op"], changes["committed_at"]), strict=True))
        rows = pa.table({**_order_columns(changes, deleted), **facts, **columns})
        return ProjectionResult((Mutations(table, rows),), range_tombstones)


def _special(images: pa.ChunkedArray, table: TableDefinition) -> pa.ChunkedArray | None:
    """Return, per row, a JSON object of its arrays of several dimensions, or null. A list column cannot store those."""
    if images.type.get_field_index(NESTED) < 0:
        return None
    nested = nested_arrays(struct_field(images, NESTED).combine_chunks(), table.columns)
    if not nested:
        return pa.chunked_array([pa.nulls(len(images), pa.string())])
    rows = zip(*(texts.to_pylist() for texts in nested.values()), strict=True)
    names = [json.dumps(name) for name in nested]
    members = [[f"{name}:{text}" for name, text in zip(names, row, strict=True) if text is not None] for row in rows]
    return pa.chunked_array([pa.array([f"{{{','.join(one)}}}" if one else None for one in members], pa.string())])


def _key_only(before: pa.ChunkedArray, name: str, table: TableDefinition) -> pa.ChunkedArray | pa.Scalar:
    """Return the values that a deletion has for a column: the key columns' values, null for all others."""
    values = struct_field(before, name)
    return values if name in table.key else pa.scalar(None, values.type)


@dataclass(frozen=True)
class DocumentProjection:
    """Projection to parts, keyed by document and part. Images are encoded only after compaction."""

    definitions: ModelDefinitions
    epoch_history: EpochHistory = NO_EPOCHS

    def __call__(self, table: str, envelopes: pa.Table) -> ProjectionResult:
        changes, truncates = _split_truncates(
            _with_epochs(envelopes, self.definitions.topic(table), self.epoch_history)
        )
        mutations, scopes = [], []
        for name, views in self.definitions.views.items():
            for collection, view in views.items():
                if view.name == table:
                    scopes.append(tombstone_scope(name, collection))
                    mutations.append(_parts(name, collection, view, changes))
        kept = tuple(mutation for mutation in mutations if mutation.changes.num_rows)
        return ProjectionResult(kept, _truncates(truncates, scopes))


def _parts(document: str, collection: str, view: TableView, changes: pa.Table) -> Mutations:
    """Return the changes of the parts that the rows of one view are, or were before, in their documents."""
    owner = key_of(changes["after"], view.table, view.owner)
    former = key_of(changes["before"], view.table, view.owner)
    has_left = pc.and_(former.is_valid(), pc.coalesce(pc.not_equal(owner, former), pa.scalar(True)))
    sides = (
        (owner.is_valid(), owner, "after", False),
        (has_left, former, "before", True),
    )
    tables = []
    for chosen, key, image, is_deleted in sides:
        rows = changes.append_column("_key", key).filter(chosen)
        # A row that the view does not show is a deletion with the row's version, so no earlier version reappears.
        deleted = pa.repeat(True, rows.num_rows) if is_deleted else _is_hidden(rows["after"], view)
        tables.append(
            pa.table(
                {
                    **_order_columns(
                        rows, pa.chunked_array([deleted]), is_text_kept=is_text_kept(view.table, view.table.key)
                    ),
                    "key": rows["_key"],
                    "part": _part_names(collection, rows[image], view.table),
                    "_image": rows["after"],
                }
            )
        )
    return _images_of(document, view, pa.concat_tables(tables))


def _is_hidden(images: pa.ChunkedArray, view: TableView) -> pa.Array:
    if not view.where:
        return pa.repeat(False, len(images))
    return pc.invert(matches(images.combine_chunks(), view.where, view.table.columns))


def _part_names(collection: str, images: pa.ChunkedArray, table: TableDefinition) -> pa.ChunkedArray:
    if collection == ROOT:
        return pa.chunked_array([pa.repeat(ROOT, len(images))])
    return pc.binary_join_element_wise(collection, part_of(images, table), "/")


def _images_of(document: str, view: TableView, parts: pa.Table) -> Mutations:
    # Compaction follows the fan-out: a row's last version does not name the documents that it passed through.
    folded = compact(parts, ("key", "part"))
    alive = pc.if_else(folded["_deleted"], pa.scalar(None, folded["_image"].type), folded["_image"])
    images = rows_to_json(alive.combine_chunks(), view.table.columns, view.fields)
    changes = folded.drop_columns(["_image"]).append_column("image", images)
    return Mutations(document, changes.select([*ORDER_COLUMNS.names, *PART_COLUMNS.names]), is_folded=True)


def key_of(images: pa.ChunkedArray, table: TableDefinition, key: Sequence[str]) -> pa.ChunkedArray:
    """Return the keys of the documents that rows belong to, from the table's columns that refer to them."""
    return key_text([struct_field(images, name) for name in key], [table.columns[name] for name in key])


def part_of(images: pa.ChunkedArray, table: TableDefinition) -> pa.ChunkedArray:
    """Return child rows' own keys, as used in part names."""
    return part_text([struct_field(images, name) for name in table.key], [table.columns[name] for name in table.key])


def _with_epochs(envelopes: pa.Table, topic: str, epoch_history: EpochHistory) -> pa.Table:
    """Add the ordering epochs to envelopes, and replace offsets by stored ones, which grow from epoch to epoch."""
    partitions, offsets = (envelopes[name].to_numpy().astype(np.int64) for name in ("partition", "offset"))
    epochs, stored = epoch_history.order_keys(topic, partitions, offsets)
    at = envelopes.schema.get_field_index("offset")
    return envelopes.set_column(at, "offset", pa.array(stored)).append_column("epoch", pa.array(epochs, pa.int32()))


def is_text_kept(table: TableDefinition, key: Sequence[str]) -> bool:
    """Return whether equal keys are always sent as the same text, so that an update to an equal key arrives as an
    update.
    """
    return all(parse_pg_type(table.columns[name]) != PgType("numeric") for name in key)


def _order_columns(
    changes: pa.Table, deleted: pa.ChunkedArray, *, is_text_kept: bool = True
) -> dict[str, pa.ChunkedArray]:
    """Build the columns of `ORDER_COLUMNS`.

    Args:
        is_text_kept: if false, `UPDATE … SET key = 1.00` of a key 1.0 arrives as a deletion and an insertion with the
            same
            LSN, both of one document. The insertion then gets the higher tie-break.
    """
    tie = changes["snapshot"].cast(pa.int8())
    if not is_text_kept:
        tie = pc.if_else(deleted, tie, pa.scalar(REWRITE_TIEBREAK, pa.int8()))
    given = {"_is_snapshot": changes["snapshot"], "_tie": tie, "_deleted": deleted}
    # The others have the names of the envelope's fields.
    return {name: given[name] if name in given else changes[name[1:]] for name in ORDER_COLUMNS.names}


def _split_truncates(envelopes: pa.Table) -> tuple[pa.Table, pa.Table]:
    """Split envelopes into row changes and truncates."""
    is_truncate = pc.equal(envelopes["op"], "t")
    if not pc.any(is_truncate).as_py():
        return envelopes, envelopes.slice(0, 0)
    return envelopes.filter(pc.invert(is_truncate)), envelopes.filter(is_truncate)


def _truncates(truncates: pa.Table, scopes: Iterable[str]) -> tuple[RangeTombstone, ...]:
    told = truncates.select(["epoch", "commit_lsn", "lsn", "committed_at"]).to_pylist()
    return tuple(RangeTombstone(scope=name, kind=TombstoneKind.TRUNCATE, **one) for one in told for name in scopes)
