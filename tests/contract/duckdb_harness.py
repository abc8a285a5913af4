"""Contract harness of the DuckDB sink, read through the views that its readers use."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from sinks.duckdb.remote.client import RemoteDuckdbStore
from sinks.duckdb.remote.server import WriterServer
from sinks.duckdb.sql_text import quote_identifier
from sinks.duckdb.store import DuckdbStore
from sinks.shape import RowShape, Shape
from sinks.sink import Store
from tests.contract.store_harness import Contents, Form


class DuckdbSubject:
    """A DuckDB store in its own directory."""

    form = Form.ROWS

    def __init__(self) -> None:
        self._directory = tempfile.TemporaryDirectory()
        self._store: DuckdbStore | None = None

    @property
    def directory(self) -> Path:
        """The directory of the files."""
        return Path(self._directory.name)

    def store(self, shapes: Sequence[Shape]) -> Store:
        return self.held(shapes)

    def held(self, shapes: Sequence[Shape]) -> DuckdbStore:
        """Return the store of the writer process, which holds the files."""
        self._store = DuckdbStore(self.directory, [shape for shape in shapes if isinstance(shape, RowShape)])
        return self._store

    def read(self, shapes: Sequence[Shape]) -> Contents:
        assert self._store is not None
        contents: Contents = {}
        for shape in shapes:
            assert isinstance(shape, RowShape)
            reader = self._store.instance().cursor()
            texts = ", ".join(
                quote_identifier(name)
                if text in ("bigint", "integer")
                else f"CAST({quote_identifier(name)} AS VARCHAR) AS {quote_identifier(name)}"
                for name, text in shape.columns.items()
            )
            rows = reader.execute(f"SELECT {texts} FROM {quote_identifier(shape.target)}").to_arrow_table().to_pylist()
            assert len({row[shape.key[0]] for row in rows}) == len(rows), "a key is shown twice"
            contents[shape.target] = {str(row[shape.key[0]]): row for row in rows}
        return contents

    def close(self) -> None:
        if self._store is not None:
            self._store.close()
        self._directory.cleanup()


class DuckdbElsewhereSubject(DuckdbSubject):
    """A DuckDB store whose readers use another process than the writer and send requests through the inbox."""

    def __init__(self) -> None:
        super().__init__()
        self._answering = ExitStack()

    def store(self, shapes: Sequence[Shape]) -> Store:
        holder = self.held(shapes)
        holder.open()
        self._answering.enter_context(WriterServer(self.directory, holder).serve_in_background())
        return RemoteDuckdbStore(self.directory)

    def close(self) -> None:
        self._answering.close()
        super().close()
