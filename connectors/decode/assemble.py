"""Assembly of raw envelopes into checked envelopes, with each column in its declared type."""

import json
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from connectors.decode.column_plan import ColumnPlan
from connectors.decode.raw_envelope import RawEnvelopes, RawImage
from connectors.decode.sequence import parse_lsns
from connectors.envelope import NESTED
from connectors.errors import MissingBeforeImage
from connectors.records import RecordBatch

Mask = npt.NDArray[np.bool_]

_OPERATIONS = pa.array(["c", "u", "d", "r", "t"])
_WITH_AFTER = pa.array(["c", "u", "r"])
_WITH_BEFORE = pa.array(["u", "d"])
SNAPSHOT_ENDED = "last"
"""Debezium's value of `source.snapshot` for the last row of a snapshot."""
_SNAPSHOT = pa.array(["true", "first", "first_in_data_collection", "last_in_data_collection", SNAPSHOT_ENDED])


class _RowFilter:
    """Filter of the envelopes: a mask of the good ones, and the faults of the others."""

    def __init__(self, sent: RawEnvelopes) -> None:
        self._rows = sent.rows
        self.good: Mask = np.ones(len(sent.rows), bool)
        self.faults = dict(sent.faults)

    def reject(self, where: Mask, reason: str) -> None:
        wrong = where & self.good
        self.good[wrong] = False
        self.faults.update(dict.fromkeys(self._rows[wrong].tolist(), reason))

    def reject_each(self, faults: Mapping[int, str]) -> None:
        for place, reason in faults.items():
            if self.good[place]:
                self.good[place] = False
                self.faults[int(self._rows[place])] = reason


def assemble(sent: RawEnvelopes, plan: ColumnPlan, records: RecordBatch) -> tuple[pa.Table, dict[int, str]]:
    """Return the table of envelopes, in record order, and the fault of every rejected record.

    Raises:
        SourceContractViolation: a declared column is missing or not exact, or a change has no `before`.
    """
    sieve = _RowFilter(sent)
    sieve.reject(~_is_of(plan.table.table, sent), f"a change to another table than {plan.table.table}")
    sieve.reject(~_mask(pc.is_in(sent.op, _OPERATIONS)), "an operation other than c, u, d, r and t")
    if sieve.good.any():
        _require_contract(sent, plan, records, sieve.good)
    without_after = _mask(pc.is_in(sent.op, _WITH_AFTER)) & ~sent.after.present
    sieve.reject(without_after, "an insert, update or snapshot row without its `after`")
    commit_lsn, lsn = _lsn_columns(sent)
    sieve.reject(_mask(pc.is_null(lsn)), "no place in the WAL: neither source.sequence nor source.lsn")
    before, before_faults = _image(sent.before, plan)
    after, after_faults = _image(sent.after, plan)
    sieve.reject_each(before_faults | after_faults)
    table = pa.Table.from_arrays(
        [
            pa.array(records.partitions[sent.rows], pa.int32()),
            pa.array(records.offsets[sent.rows], pa.int64()),
            sent.op,
            pc.is_in(sent.source["snapshot"], _SNAPSHOT),
            commit_lsn,
            lsn,
            _committed_at(sent),
            before,
            after,
        ],
        schema=plan.schema,
    )
    return table if sieve.good.all() else table.filter(pa.array(sieve.good)), sieve.faults


def _is_of(table: str, sent: RawEnvelopes) -> Mask:
    schema, _, name = table.rpartition(".")
    return _mask(pc.and_(pc.equal(sent.source["schema"], schema), pc.equal(sent.source["table"], name)))


def _require_contract(sent: RawEnvelopes, plan: ColumnPlan, records: RecordBatch, good: Mask) -> None:
    if plan.broken is not None:
        raise plan.broken
    _require_earlier(sent, plan, records, good)
    missing = _mask(pc.is_in(sent.op, _WITH_BEFORE)) & ~sent.before.present & good
    if missing.any():
        raise MissingBeforeImage(f"{plan.table.table}: a change without the row before it", plan.table.table)


def _require_earlier(sent: RawEnvelopes, plan: ColumnPlan, records: RecordBatch, good: Mask) -> None:
    """Reject records that lack columns although they are not earlier records."""
    ends = plan.table.earlier.end if plan.table.earlier else None
    if not plan.substitutes or ends is None:
        return
    end = np.array([ends.get(int(partition), 0) for partition in records.partitions[sent.rows]], np.int64)
    if (good & (records.offsets[sent.rows] >= end)).any():
        raise plan.refusal


def _mask(booleans: pa.Array) -> Mask:
    mask: Mask = booleans.to_numpy(zero_copy_only=False)
    return mask


def _lsn_columns(sent: RawEnvelopes) -> tuple[pa.Array, pa.Array]:
    """Return the last commit's LSN and the change's own, which replaces a missing commit LSN."""
    commit, own = parse_lsns(sent.source["sequence"])
    lsn = pc.coalesce(own, sent.source["lsn"])
    return pc.coalesce(commit, lsn), lsn


def _committed_at(sent: RawEnvelopes) -> pa.Array:
    us = pc.coalesce(sent.source["ts_us"], pc.multiply(sent.source["ts_ms"], 1000))
    return us.cast(pa.timestamp("us", "UTC"))


def _image(image: RawImage, plan: ColumnPlan) -> tuple[pa.Array, dict[int, str]]:
    kind = plan.schema.field("after").type
    if plan.broken is not None:
        return pa.nulls(len(image.present), kind), {}
    columns, faults = [], {}
    nested: dict[int, dict[str, str]] = {}
    for name in plan.table.columns:
        if name in plan.substitutes:
            columns.append(pa.repeat(plan.substitutes[name].value, len(image.present)))
            continue
        column = plan.readers[name].read(image.columns[name])
        columns.append(column.values)
        faults.update({row: reason for row, reason in column.faults.items() if image.present[row]})
        for row, text in column.nested.items():
            nested.setdefault(row, {})[name] = text
    if kind.get_field_index(NESTED) >= 0:
        texts = [json.dumps(nested[row]) if row in nested else None for row in range(len(image.present))]
        columns.append(pa.array(texts, pa.string()))
    return pa.StructArray.from_arrays(columns, fields=list(kind), mask=pa.array(~image.present)), faults
