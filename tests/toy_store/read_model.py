"""Description of the toy model: the entry that adds it to the list of read models."""

from __future__ import annotations

import os
import shutil
from contextlib import nullcontext
from pathlib import Path

from pipeline.config import Settings
from pipeline.stores.read_model import ModelKind, ReadModel
from tests.toy_store.store import ToyStore

FILE = "TOY_STORE_FILE"
"""Environment variable with the path of the store's file."""


def open_store(settings: Settings) -> ToyStore:
    return ToyStore(Path(os.environ[FILE]), settings.definitions.document_shapes())


TOY = ReadModel(
    name="toy",
    title="Toy",
    kind=ModelKind.DOCUMENT,
    open=lambda settings: nullcontext(open_store(settings)),
    reader="tests.toy_store.reader:open_toy_reader",
    free_bytes=lambda _: shutil.disk_usage(Path(os.environ[FILE]).parent).free,
    call_budget_s=lambda _: 60.0,
)
