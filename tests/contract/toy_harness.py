"""Contract harness of the toy store, which is not part of the packages."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from sinks.shape import DocumentShape, Shape
from tests.contract.store_harness import Contents, Form
from tests.toy_store.store import ToyStore


class ToySubject:
    """A file of the test's own."""

    form = Form.DOCUMENTS

    def __init__(self) -> None:
        self._folder = TemporaryDirectory()
        self._store: ToyStore | None = None

    def store(self, shapes: Sequence[Shape]) -> ToyStore:
        documents = [shape for shape in shapes if isinstance(shape, DocumentShape)]
        self._store = ToyStore(Path(self._folder.name) / "toy", documents)
        return self._store

    def read(self, shapes: Sequence[Shape]) -> Contents:
        assert self._store is not None
        live = self._store.live()
        assert live is not None
        return {
            shape.target: {key: json.loads(text) for key, text in self._store.documents(shape, live).items()}
            for shape in shapes
            if isinstance(shape, DocumentShape)
        }

    def close(self) -> None:
        self._folder.cleanup()
