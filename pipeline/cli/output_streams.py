"""Standard output and standard error: their encodings, their width, and detection of closed pipes."""

from __future__ import annotations

import codecs
import io
import os
import select
import sys
from collections.abc import Iterable
from typing import Any, TextIO

from rich.console import Console, ConsoleDimensions, ConsoleOptions, RenderableType
from rich.segment import Segment

from pipeline.terminal_text import escape_controls

UNBOUND_WIDTH = 100_000
"""Width in characters if there is no terminal: no line is wrapped or cut."""

EXIT_NOBODY_READS = 141
"""Exit code of a process that ends because its reader closed the pipe: 128 and the number of SIGPIPE."""

_PLAIN = {"✓": "ok", "✗": "x", "…": "...", "→": "->", "–": "-", "—": "-", "·": "*"}
"""Replacements for the signs that this program prints, if an encoding lacks them."""
_FALLBACK = "readmodels-plain"


class Output(Console):
    """Console that escapes control characters in data, and does not cut lines that go to a file or a pipe."""

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, highlight=False)

    @property
    def size(self) -> ConsoleDimensions:
        """Size of the terminal; without a terminal, lines are not limited."""
        return super().size if self.is_terminal else ConsoleDimensions(UNBOUND_WIDTH, 25)

    @size.setter
    def size(self, new_size: tuple[int, int]) -> None:
        self._width, self._height = new_size

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render as rich does, with control characters escaped."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=escape_controls(segment.text))


def prepare() -> None:
    """Configure both streams to accept any character: a plain sign or an escape replaces what the encoding lacks."""
    codecs.register_error(_FALLBACK, _plain)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_FALLBACK)


def write_data(data: bytes) -> None:
    """Write data unchanged on standard output, as UTF-8 in any locale; escape control characters on a terminal."""
    if sys.stdout.isatty():
        sys.stdout.write(escape_controls(data.decode()))
    else:
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
    sys.stdout.flush()


class Readers:
    """Reader processes of standard output and standard error through pipes.

    Duplicates the descriptors because rich replaces them when it writes to a closed pipe.
    """

    def __init__(self) -> None:
        self._kept = [(stream, os.dup(stream.fileno())) for stream in (sys.stdout, sys.stderr) if _is_file(stream)]

    def are_gone(self) -> bool:
        """Return whether a reader has ended, so that writes fail."""
        return bool(self._abandoned())

    def leave(self) -> None:
        """Discard pending output for readers that have ended: the interpreter would fail on it at exit."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in self._abandoned():
            os.dup2(nowhere, stream.fileno())

    def _abandoned(self) -> list[TextIO]:
        return [stream for stream, kept in self._kept if _is_without_reader(kept)]


def _is_file(stream: TextIO | None) -> bool:
    """Return whether a stream has a file descriptor. A stream that was closed at the start is None."""
    try:
        return stream is not None and stream.fileno() >= 0
    except OSError:
        return False


def _is_without_reader(descriptor: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, 0)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))


def _plain(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text: Any = error.object[error.start : error.end]
    return "".join(_PLAIN.get(one) or one.encode("ascii", "backslashreplace").decode() for one in text), error.end
