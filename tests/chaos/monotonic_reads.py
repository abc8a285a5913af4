"""Whether what a reader saw, one thing after the other, is how the log says that it went."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from tests.chaos.fold import Fold
from tests.chaos.readers import Name, Reader

Places = dict[tuple[str, Name], int]
"""Per reader and name, how far in the history what was seen last stands."""


def versions_gone_back(readers: Sequence[Reader], fold: Fold, places: Places) -> list[str]:
    """Say of every name whose values cannot have come in the order in which they were seen; `places` moves along.

    A reader may miss versions, and may see one for long; it may not see an earlier one, nor that a row is gone which
    nobody had deleted.
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
    """The values that a name had, by the log, with None before its first and wherever it was gone."""
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
