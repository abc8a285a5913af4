"""How `up` tells what it is doing."""

from __future__ import annotations

from typing import Protocol

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn

_ONLY = TaskID(0)
"""The one task of the bar."""


class Report(Protocol):
    """Who is told of downloads and servers. Calls may come from several threads."""

    def downloading(self, files: int, total_bytes: int) -> None:
        """`files` files of `total_bytes` bytes in all are about to be fetched."""

    def downloaded(self, size_bytes: int) -> None:
        """`size_bytes` more bytes have arrived."""

    def arrived(self) -> None:
        """One more file is here and was checked; called by one thread only."""

    def downloads_ended(self) -> None:
        """Every file is here, or an error follows."""

    def preparing(self, what: str) -> None:
        """Something that takes a while begins, and is no download."""

    def ready(self, server: str, address: str, took_s: float) -> None:
        """A server answers, `took_s` seconds after it was started."""

    def found(self, server: str, address: str) -> None:
        """A server answers that was running already."""

    def stopped(self, server: str, took_s: float) -> None:
        """A server has ended."""


class NullReport:
    """Tells nobody."""

    def downloading(self, files: int, total_bytes: int) -> None: ...

    def downloaded(self, size_bytes: int) -> None: ...

    def arrived(self) -> None: ...

    def downloads_ended(self) -> None: ...

    def preparing(self, what: str) -> None: ...

    def ready(self, server: str, address: str, took_s: float) -> None: ...

    def found(self, server: str, address: str) -> None: ...

    def stopped(self, server: str, took_s: float) -> None: ...


class ConsoleReport:
    """One bar for all downloads, then one line per server."""

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
