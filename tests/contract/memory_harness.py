"""Contract harness of `MemorySink`, in both forms."""

from __future__ import annotations

import json
from collections.abc import Sequence

from sinks.memory import MemoryStore
from sinks.ordering.document import render
from sinks.ordering.register import Register
from sinks.shape import DocumentShape, RowShape, Shape
from tests.contract.store_harness import Contents, Form


class MemorySubject:
    """A store in this process."""

    def __init__(self, form: Form) -> None:
        self.form = form
        self._store: MemoryStore | None = None

    def store(self, shapes: Sequence[Shape]) -> MemoryStore:
        self._store = MemoryStore(shapes)
        return self._store

    def read(self, shapes: Sequence[Shape]) -> Contents:
        assert self._store is not None
        assert self._store.shown is not None
        held = self._store.held[self._store.shown].registers
        return {shape.target: self._contents(shape, held) for shape in shapes}

    def close(self) -> None:
        self._store = None

    def _contents(self, shape: Shape, held: dict[tuple[object, ...], Register]) -> dict[str, object]:
        mine = {name[1:]: register for name, register in held.items() if name[0] == shape.target}
        if isinstance(shape, RowShape):
            shown = {str(name[0]): register.visible for name, register in mine.items()}
            return {key: change.image for key, change in shown.items() if change and not change.deleted}
        return self._documents(shape, mine)

    def _documents(self, shape: DocumentShape, held: dict[tuple[object, ...], Register]) -> dict[str, object]:
        documents: dict[str, dict[str, Register]] = {}
        for (key, part), register in held.items():
            documents.setdefault(str(key), {})[str(part)] = register
        rendered = {key: render(parts, shape) for key, parts in documents.items()}
        return {key: json.loads(text) for key, text in rendered.items() if text is not None}
