"""Comparison of the versions that a reader saw with the order of the log."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from tests.chaos.fold import Fold
from tests.chaos.readers import Name, Reader

Places = dict[tuple[str, Name], int]
"""By reader and name, the position in the history of the last seen version."""


def versions_gone_back(readers: Sequence[Reader], fold: Fold, places: Places) -> list[str]:
    """Return the names whose values were not seen in a possible order; advance `places`.

    A reader may miss versions, and may see one version for a long time. It must not see an earlier version, or miss a
    row that was not deleted.
    """
    return [fault for reader in readers for fault in _faults(reader, fold, places)]


def _faults(reader: Reader, fold: Fold, places: Places) -> Iterator[str]:
    for name, seen in reader.seen.items():
        history = _history(name, fold)
        place = places.get((reader.name, name), 0)
        for value in seen:
            if value not in history[place:]:
                told = f"saw {value} after {history[place]}, of {history[max(0, place - 3) : place + 4]}"
                yield f"{reader.name}: {_words(name)} {told}"
                break
            place = history.index(value, place)
        places[reader.name, name] = place


def _history(name: Name, fold: Fold) -> list[int | None]:
    """Return the values of a name according to the log, with None before the first and after each deletion."""
    if name.item_id is None:
        return _changes(image["customer_id"] if image else None for image in fold.images("orders", name.order_id))
    return _changes(
        int(image["sku"].removeprefix("SKU-")) if image and image["order_id"] == name.order_id else None
        for image in fold.images("order_items", name.item_id)
    )


def _changes(values: Iterable[int | None]) -> list[int | None]:
    found: list[int | None] = [None]
    for value in values:
        if value != found[-1]:
            found.append(value)
    return found


def _words(name: Name) -> str:
    return f"order {name.order_id}" if name.item_id is None else f"item {name.item_id} of order {name.order_id}"
