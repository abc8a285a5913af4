"""Crash reports: descriptions of unexpected exceptions without row values, and a report file that can be sent.

An exception of the product has a remedy and a message without row values. Any other exception may quote a row: those of
Arrow, psycopg and DuckDB do, and `KeyError: 1` is one. So only its type and its location are reported, not its message.
"""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from sinks.batch import OffsetRange, TopicPartition

_LIBRARIES = ("confluent-kafka", "duckdb", "elasticsearch", "psycopg", "pyarrow", "redis")
_ABOUT_CODE = (AttributeError, ImportError, NameError, NotImplementedError, OSError, RecursionError, TypeError)
"""Built-in exceptions whose messages name types, attributes and files, not values."""
_PACKAGES = ("connectors", "pipeline", "sinks", "stack")
FAULT_REMEDY = (
    "This is a fault of readmodels. Send the message, which names its place and holds no row values, to the "
    "maintainers "
    "of readmodels."
)
_RECORDS = "while writing the records of "


def is_expected(error: BaseException) -> bool:
    """Return whether an exception has a remedy, and so a message for operators."""
    return bool(getattr(error, "remedy", None))


def name_records(error: BaseException, span: OffsetRange) -> None:
    """Attach the records that were being written to an exception, for `describe_error`."""
    spans = (
        (topic_partition, span.begin.get(topic_partition, end), end)
        for topic_partition, end in sorted(span.end.items())
    )
    error.add_note(_RECORDS + ", ".join(_offsets(*one) for one in spans))


def _offsets(topic_partition: TopicPartition, begin: int, end: int) -> str:
    """Format the records of a partition from `begin` to before `end`."""
    offsets = f"offset {begin}" if end - begin <= 1 else f"offsets {begin} to {end - 1}"
    return f"{topic_partition[0]}/{topic_partition[1]} {offsets}"


def describe_error(error: BaseException) -> str:
    """Describe an exception in one sentence, without row values."""
    # Notes of libraries are left out, because they may quote a row.
    records = [note for note in getattr(error, "__notes__", ()) if note.startswith(_RECORDS)]
    return ", ".join([_sentence(error), *records])


def _sentence(error: BaseException) -> str:
    name = type(error).__name__
    if is_expected(error):
        return f"{name}: {error}" if str(error) else name
    if isinstance(error, OSError) and error.strerror:
        at = f": {error.filename}" if error.filename else ""
        return f"{name}: {error.strerror}{at}, {_place(error)}"
    return f"unexpected {name}, {_place(error)}"


def report(error: BaseException, command: str, folder: Path) -> Path | None:
    """Write a report file about an exception, readable by its owner only. Return None if no file can be written.

    Args:
        command: the command line, without secrets and values.
        folder: used if it exists, otherwise the user's state directory, otherwise the directory for temporary files.
    """
    text = _written(error, command)
    name = f"readmodels-{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{os.getpid()}.log"
    for place in _folders(folder):
        try:
            place.mkdir(parents=True, exist_ok=True, mode=0o700)
            with open(os.open(place / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:  # noqa: PTH123
                file.write(text)
        except OSError:
            continue
        return place / name
    return None


def _folders(home: Path) -> Iterator[Path]:
    if home.is_dir():
        yield home / "log"
    state = os.environ.get("XDG_STATE_HOME")
    yield (Path(state) if state else Path("~/.local/state").expanduser()) / "readmodels"
    yield Path(tempfile.gettempdir())


def _written(error: BaseException, command: str) -> str:
    versions = ", ".join(f"{name} {_version(name)}" for name in ("cdc-read-models", *_LIBRARIES))
    facts = (
        f"time: {datetime.now(UTC).isoformat()}",
        f"command: {command}",
        f"versions: {versions}",
        f"python: {platform.python_version()} on {platform.platform()}",
        f"encodings: {sys.stdout.encoding}, {sys.getfilesystemencoding()}",
    )
    chain = "\n".join(_chained(error))
    return "\n".join((*facts, "", chain)).encode("utf-8", "backslashreplace").decode()


def _chained(error: BaseException) -> Iterator[str]:
    """Yield the traceback of an exception and of its causes, the first cause first."""
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None:
        yield from _chained(cause)
        yield "which led to:"
    yield "Traceback (most recent call last):"
    yield "".join(traceback.format_tb(error.__traceback__)).rstrip()
    yield f"{type(error).__module__}.{type(error).__qualname__}: {_message(error)}"


def _message(error: BaseException) -> str:
    is_own = type(error).__module__.partition(".")[0] in _PACKAGES
    if is_own or type(error) in _ABOUT_CODE or isinstance(error, OSError):
        return str(error)
    return "(the message is left out: it may quote a row)"


def _place(error: BaseException) -> str:
    """Return the last line of the product's code in an exception's traceback."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f"{module}:{frame.lineno}" for frame in frames if (module := _module(frame.filename))]
    return f"at {own[-1]}" if own else "outside of the product's own code"


def _module(filename: str) -> str:
    """Return a file's path below the product's root; empty if the file is not part of the product."""
    root = Path(__file__).parents[1]
    path = Path(filename)
    if not path.is_relative_to(root):
        return ""
    inside = path.relative_to(root)
    return str(inside) if inside.parts[0] in _PACKAGES else ""


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "-"
