"""Log format of the workers: one event per line, on standard error, with keys, LSNs, offsets and counts, never row
values.
"""

from __future__ import annotations

import sys
from typing import TextIO

import structlog

from pipeline.terminal_text import escape_controls


def configure(stream: TextIO = sys.stderr) -> None:
    """Configure the log: colours if the stream is a terminal, `key=value` otherwise."""
    is_terminal = stream.isatty()
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer(pad_event_to=28)
        if is_terminal
        else structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event", "model"], drop_missing=True)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%H:%M:%S" if is_terminal else "iso", utc=not is_terminal),
            _with_escapes,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(20),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )


def _with_escapes(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Escape control characters, because names and messages come from other systems."""
    return {key: escape_controls(value) if isinstance(value, str) else value for key, value in event.items()}
