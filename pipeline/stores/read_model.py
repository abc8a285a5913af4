"""Description of a read model: its store, and the facts about it that the pipeline uses."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import Protocol

from pipeline.config import Settings
from sinks.sink import Store

Opener = Callable[[Settings], AbstractContextManager[Store]]


class ModelKind(Enum):
    """Representation of a row in a read model: JSON in a document, or columns of a table."""

    DOCUMENT = auto()
    ROW = auto()


class StoreWriter(Protocol):
    """Store in the one process that writes it."""

    @property
    def store(self) -> Store:
        """The store. Its generations can be listed before the process has the lock."""

    def lock(self) -> None:
        """Take the writer lock.

        Raises:
            StoreUnavailable: another process has the lock.
        """

    def serving(self, stop: threading.Event) -> AbstractContextManager[None]:
        """Serve readers, and the other processes that write, during the block. The process has the lock."""

    def write_for_others(self, stop: threading.Event) -> None:
        """Wait for the lock, then serve until `stop` is set. A broken live generation is no obstacle."""


@dataclass(frozen=True)
class ServedSettings:
    """Settings with which other processes read a store that a writer process has locked.

    Args:
        environment: the same settings as environment variables of the writer process.
    """

    settings: Settings
    environment: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class SingleWriter:
    """Operations of a store that only one process at a time may write.

    Args:
        open_writer: opens the store in the process that writes it.
        open_remote: opens the store in a process that sends its writes to that process.
        wait_for_writer: waits until some process writes the store. It calls its second argument at intervals, which
            raises if the writer process has failed; the third is that process's log file.
        served: returns the settings with which the store is read while a process writes it.
    """

    open_writer: Callable[[Settings], AbstractContextManager[StoreWriter]]
    open_remote: Opener
    wait_for_writer: Callable[[Settings, Callable[[], None], Path], None]
    served: Callable[[Settings], ServedSettings]


@dataclass(frozen=True, kw_only=True)
class ReadModel:
    """Description of one read model.

    Args:
        name: its name on the command line, in logs and in the names of consumer groups.
        title: the name of the store's product, for messages.
        kind: its representation of rows, which decides its shapes and its projection.
        open: opens the store. If another process has the store's writer lock, writes go through that process.
        reader: import path, as `module:function`, of the function that opens the reader for `verify`. It is a path
            because `verify` is a layer above this one; `pipeline.verify.verify` imports it on use.
        free_bytes: returns the space that the store has for another generation.
        call_budget_s: returns the time limit of one call of the store with 50,000 changes.
        cores_per_builder: cores per process that fills a new generation, if their number is not given.
        single_writer: operations of a store that only one process may write; None if several processes may.
        directory: returns the directory of the store's files; None if the store is a server.
        check: asks the store whether it accepts the declared documents; None if they declare nothing for it.
    """

    name: str
    title: str
    kind: ModelKind
    open: Opener
    reader: str
    free_bytes: Callable[[Settings], int]
    call_budget_s: Callable[[Settings], float]
    cores_per_builder: int = 1
    single_writer: SingleWriter | None = None
    directory: Callable[[Settings], Path] | None = None
    check: Callable[[Settings], None] | None = None

    @property
    def is_single_writer(self) -> bool:
        """True if only one process may write the store."""
        return self.single_writer is not None

    @property
    def default_builders(self) -> int:
        """Default number of processes that fill a new generation."""
        return max(1, (os.cpu_count() or 1) // self.cores_per_builder)

    def open_shared(self, settings: Settings) -> AbstractContextManager[Store]:
        """Open the store for one of several processes that write it."""
        return (self.single_writer.open_remote if self.single_writer else self.open)(settings)
