"""Folding of changes in Arrow tables: at most two changes per register remain, the ones that a merge would keep."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sinks.ordering.columns import Integers, integers, to_changes, version_arrays
from sinks.ordering.register import EMPTY_REGISTER, Register

DOCUMENTS_PER_PAGE = 20_000


def compact(changes: pa.Table, identity: Sequence[str]) -> pa.Table:
    """Keep the highest change of every register and side, in log order.

    A plain "last per key" is wrong if a batch has a repetition: an older change that was emitted again would win.
    """
    if changes.num_rows < 2:
        return changes
    ascending = np.lexsort((-integers(changes, "_offset"), *reversed(version_arrays(changes))))
    sides = [*identity, "_is_snapshot"]
    ranked = changes.select(sides).take(ascending).append_column("_index", pa.array(ascending))
    # With threads, the order that `last` depends on would be lost.
    last = ranked.group_by(sides, use_threads=False).aggregate([("_index", "last")])["_index_last"].to_numpy()
    if len(last) == changes.num_rows:
        return changes
    return changes.take(np.sort(last))


def document_pages(folded: pa.Table, count: int) -> Iterator[pa.Table]:
    """Yield pages of whole documents: all changes of some documents, then all of the next.

    A change in a store's request takes several times its memory in Arrow. With pages, only one page takes it.

    Args:
        folded: changes of documents (`sinks.batch.PART_COLUMNS`).
        count: the maximum number of documents in a page.
    """
    if not folded.num_rows:
        return
    number = folded["key"].combine_chunks().dictionary_encode().indices.to_numpy()
    starts = np.arange(count, number.max() + 1, count)
    if not len(starts):
        yield folded
        return
    order = np.argsort(number, kind="stable")
    for rows in np.split(order, np.searchsorted(number[order], starts)):
        yield folded.take(rows)


def resolve(folded: pa.Table, identity: Sequence[str]) -> pa.Table:
    """Decide between the two sides of every register, and drop the changes that lost for good.

    Args:
        folded: the result of `compact`: at most one change per register and side.

    Returns:
        The remaining changes, with a column `_shown` for the version that readers see.
    """
    side = folded["_is_snapshot"].to_numpy()
    rows = pa.array(np.arange(folded.num_rows))
    if not side.any() or side.all():
        return folded.append_column("_shown", pa.array(np.ones(folded.num_rows, dtype=bool)))
    numbered = folded.select(list(identity)).append_column("_index", rows)
    pairs = numbered.filter(pc.invert(folded["_is_snapshot"])).join(
        numbered.filter(folded["_is_snapshot"]),
        keys=list(identity),
        right_suffix="_of_snapshot",
        join_type="inner",
    )
    streamed, snapshot = pairs["_index"].to_numpy(), pairs["_index_of_snapshot"].to_numpy()
    outlives, follows, older = _decide(folded, streamed, snapshot)
    keep = np.ones(folded.num_rows, dtype=bool)
    keep[snapshot[outlives]] = False
    keep[streamed[older]] = False
    shown = np.ones(folded.num_rows, dtype=bool)
    shown[snapshot[follows]] = False
    shown[streamed[~follows]] = False
    return folded.append_column("_shown", pa.array(shown)).filter(pa.array(keep))


def iter_registers(
    changes: pa.Table, identity: Sequence[str], image: Sequence[str]
) -> Iterator[tuple[tuple[object, ...], Register]]:
    """Fold changes and yield every register, one Python object at a time.

    Args:
        image: the columns of a change's image: the value of one column, or a dictionary of several.
    """
    folded = compact(changes, identity)
    known: dict[tuple[object, ...], Register] = {}
    rows = folded.to_pylist()
    images = (None if row["_deleted"] else _image(row, image) for row in rows)
    for row, change in zip(rows, to_changes(folded, images), strict=True):
        name = tuple(row[column] for column in identity)
        register = known.get(name, EMPTY_REGISTER)
        known[name] = (
            Register(register.streamed, change) if row["_is_snapshot"] else Register(change, register.snapshot)
        )
    yield from known.items()


def _image(row: dict[str, object], columns: Sequence[str]) -> object:
    return row[columns[0]] if len(columns) == 1 else {column: row[column] for column in columns}


def _decide(
    folded: pa.Table, streamed: Integers, snapshot: Integers
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Return for pairs of rows if the streamed row outlives, is shown, and has an earlier epoch (see `register.py`)."""
    epoch, lsn, offset = (integers(folded, column) for column in ("_epoch", "_lsn", "_offset"))
    newest = np.maximum(integers(folded, "_commit_lsn"), lsn)
    same = epoch[streamed] == epoch[snapshot]
    later = epoch[streamed] > epoch[snapshot]
    outlives = np.where(same, newest[streamed] >= lsn[snapshot], later)
    follows = np.where(same, outlives | (offset[streamed] > offset[snapshot]), later)
    return outlives, follows, ~same & ~later
