"""Standard output and standard error: which characters they can carry, how wide they are, and when nobody reads on."""

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
"""The width, in characters, of what is no terminal: no line is wrapped or cut there."""

EXIT_NOBODY_READS = 141
"""The exit code of a process that ends because its reader did: 128 and the number of SIGPIPE."""

_PLAIN = {"✓": "ok", "✗": "x", "…": "...", "→": "->", "–": "-", "—": "-", "·": "*"}
"""The product's own signs where an encoding lacks them."""
_FALLBACK = "readmodels-plain"


class Output(Console):
    """A console that shows no control character of others, and cuts no line that goes into a file or a pipe."""

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, highlight=False)

    @property
    def size(self) -> ConsoleDimensions:
        """The terminal's size; without one, lines are as long as they are."""
        return super().size if self.is_terminal else ConsoleDimensions(UNBOUND_WIDTH, 25)

    @size.setter
    def size(self, new_size: tuple[int, int]) -> None:
        self._width, self._height = new_size

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render as rich does, with escapes for what would command the terminal."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=escape_controls(segment.text))


def prepare() -> None:
    """Let both streams take any character: where the encoding lacks it, as a plain sign or an escape."""
    codecs.register_error(_FALLBACK, _plain)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_FALLBACK)


def write_data(data: bytes) -> None:
    """Write data on standard output as it is, UTF-8 whatever the terminal's encoding; to a terminal, visibly."""
    if sys.stdout.isatty():
        sys.stdout.write(escape_controls(data.decode()))
    else:
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
    sys.stdout.flush()


class Readers:
    """The processes that read standard output and standard error through pipes.

    Keeps descriptors of its own: rich puts others in their place where it meets a pipe that nobody reads.
    """

    def __init__(self) -> None:
        self._kept = [(stream, os.dup(stream.fileno())) for stream in (sys.stdout, sys.stderr) if _is_file(stream)]

    def are_gone(self) -> bool:
        """Whether one of them has ended, so that writing fails."""
        return bool(self._abandoned())

    def leave(self) -> None:
        """Drop what is still to be written for those that have ended: the interpreter would fail on it at its end."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in self._abandoned():
            os.dup2(nowhere, stream.fileno())

    def _abandoned(self) -> list[TextIO]:
        return [stream for stream, kept in self._kept if _is_without_reader(kept)]


def _is_file(stream: TextIO | None) -> bool:
    """Whether a stream is a file of the system: a stream that was closed at the start is None."""
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
