"""Progress reports of `up` and `down`."""

from __future__ import annotations

from typing import Protocol

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn

_ONLY = TaskID(0)
"""Id of the progress bar's only task."""


class Report(Protocol):
    """Receiver of reports about downloads and servers. Its methods may be called from several threads."""

    def downloading(self, files: int, total_bytes: int) -> None:
        """Report the start of a download of `files` files with `total_bytes` bytes in all."""

    def downloaded(self, size_bytes: int) -> None:
        """Report the arrival of `size_bytes` more bytes."""

    def arrived(self) -> None:
        """Report one more fetched and checked file; called by one thread only."""

    def downloads_ended(self) -> None:
        """Report the end of all downloads, successful or not."""

    def preparing(self, what: str) -> None:
        """Report the start of a longer step that is not a download."""

    def ready(self, server: str, address: str, took_s: float) -> None:
        """Report a server that answers, `took_s` seconds after its start."""

    def found(self, server: str, address: str) -> None:
        """Report a server that was already running and answers."""

    def stopped(self, server: str, took_s: float) -> None:
        """Report a server that has ended."""


class NullReport:
    """Report that discards everything."""

    def downloading(self, files: int, total_bytes: int) -> None: ...

    def downloaded(self, size_bytes: int) -> None: ...

    def arrived(self) -> None: ...

    def downloads_ended(self) -> None: ...

    def preparing(self, what: str) -> None: ...

    def ready(self, server: str, address: str, took_s: float) -> None: ...

    def found(self, server: str, address: str) -> None: ...

    def stopped(self, server: str, took_s: float) -> None: ...


class ConsoleReport:
    """Console report: one bar for all downloads, then one line per server."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar: Progress | None = None
        self._arrived_files = 0

    def downloading(self, files: int, total_bytes: int) -> None:
        count = TextColumn("{task.fields[arrived]}/{task.fields[files]} files")
        self._bar = Progress(count, BarColumn(), DownloadColumn(), TransferSpeedColumn(), console=self._console)
        self._bar.add_task("", total=total_bytes, files=files, arrived=0)
        self._bar.start()

    def downloaded(self, size_bytes: int) -> None:
        if self._bar:
            self._bar.advance(_ONLY, size_bytes)

    def arrived(self) -> None:
        if self._bar:
            self._arrived_files += 1
            self._bar.update(_ONLY, arrived=self._arrived_files)

    def downloads_ended(self) -> None:
        if self._bar:
            self._bar.stop()
            self._bar = None

    def preparing(self, what: str) -> None:
        self._console.print(f"[dim]… {escape(what)}[/dim]")

    def ready(self, server: str, address: str, took_s: float) -> None:
        self._line(server, address, f"{took_s:.1f} s")

    def found(self, server: str, address: str) -> None:
        self._line(server, address, "already running")

    def stopped(self, server: str, took_s: float) -> None:
        self._line(server, "stopped", f"{took_s:.1f} s")

    def _line(self, server: str, middle: str, end: str) -> None:
        self._console.print(f"[green]✓[/green] {server:<15} {escape(middle):<24} [dim]{end}[/dim]", highlight=False)
