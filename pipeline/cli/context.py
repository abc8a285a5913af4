"""What every verb shares: where the configuration is, how to print, and how to say what went wrong."""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING, Any

import orjson
import typer

from pipeline import read_models
from pipeline.cli.commands import MODULES
from pipeline.cli.output_streams import Output, write_data
from pipeline.config import Settings, load
from pipeline.crash_report import describe_error, is_expected, report
from stack.endpoints import Endpoints

if TYPE_CHECKING:
    from stack.local import LocalStack

out = Output()
err = Output(stderr=True)

_NO_SPACE = "Free space on the disk that holds {file}, then repeat the command."
_NO_RIGHT = "Let the user of this process read and write {file}, then repeat the command."
_NOT_THERE = "Create the folder of {file}, or correct the option or the setting that names it, then repeat the command."
_NO_FILE = "Name another file in the option or the setting that names {file}, then repeat the command."
_FILE_REMEDIES = {
    errno.ENOSPC: _NO_SPACE,
    errno.EDQUOT: _NO_SPACE,
    errno.EACCES: _NO_RIGHT,
    errno.EPERM: _NO_RIGHT,
    errno.EROFS: _NO_RIGHT,
    errno.ENOENT: _NOT_THERE,
    errno.ENOTDIR: _NO_FILE,
    errno.EISDIR: _NO_FILE,
}
_FULL = (errno.ENOSPC, errno.EDQUOT)
"""Errors of a write, which names no file; others are errors of opening one."""

_HOME = Path(".readmodels")
_SAID_IN_REPORTS = {*MODULES, *read_models.MODELS, "all", "show", "open"}
"""The words of a command line that are no value of anybody's."""


class StackNotInstalled(Exception):
    """The packages that start servers on this machine are not here."""

    remedy = (
        "Run `pip install 'cdc-read-models[stack]'`. Servers of your own need no local stack: give their addresses in "
        "the description or in the environment (docs/running.md), then run `readmodels init`."
    )


@dataclass(frozen=True)
class Context:
    """The options that come before the verb.

    Args:
        file: `readmodels.toml`.
        home: the directory of the local stack.
    """

    file: Path
    home: Path

    @property
    def stack(self) -> LocalStack:
        """The local stack of this home; what starts servers is installed with the extra `stack` only."""
        try:
            from stack.local import LocalStack
        except ImportError as error:
            raise StackNotInstalled(f"the package {error.name} is not installed") from error
        return LocalStack(self.home)

    @property
    def endpoints(self) -> Endpoints | None:
        """Where the local stack's servers are, or None where there is none."""
        return Endpoints.read(self.home / "endpoints.json")

    def settings(self, **flags: Any) -> Settings:
        """The settings in force; where a local stack was started, its addresses are the defaults."""
        return load(self.file, local_defaults(self.endpoints, self.home), flags)


def context_of(context: typer.Context) -> Context:
    """The context of a verb."""
    assert isinstance(context.obj, Context)
    return context.obj


def local_defaults(endpoints: Endpoints | None, home: Path) -> dict[str, Any]:
    """A local stack's addresses, as sections of the configuration."""
    if endpoints is None:
        return {}
    return {
        "source": {
            "url": endpoints.postgres,
            "admin_url": endpoints.postgres_admin,
            "replication_password": endpoints.replication_password,
        },
        "kafka": {"bootstrap_servers": endpoints.kafka},
        "connect": {"url": endpoints.connect},
        "schema_registry": {"url": endpoints.schema_registry},
        "elasticsearch": {"url": endpoints.elasticsearch},
        "redis": {"url": endpoints.redis},
        "duckdb": {
            "directory": str(home / "duckdb"),
            "serve": endpoints.duckdb,
            "token": endpoints.duckdb_token,
            "copy_to": endpoints.duckdb_copy,
        },
    }


def print_json(value: Any) -> None:
    """Print one JSON value on standard output, and nothing else."""
    write_data(orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE, default=str))


def print_error(error: BaseException, remedy: str | None = None) -> None:
    """Say what happened and what to do about it, on standard error."""
    _say("[bold red]error:[/]", describe_error(error))
    _say("[bold]remedy:[/]", remedy_of(error) if remedy is None else remedy)


def remedy_of(error: BaseException) -> str:
    """The remedy of an error; one that nobody expected is written to a file, to be sent."""
    if is_expected(error):
        return str(getattr(error, "remedy", ""))
    if isinstance(error, OSError) and error.errno in _FILE_REMEDIES and (error.filename or error.errno in _FULL):
        return _FILE_REMEDIES[error.errno].format(file=error.filename or "the files of this command")
    file = report(error, _command(sys.argv[1:]), _home(sys.argv[1:]))
    if file is None:
        return (
            "This is a fault of readmodels, and no file about it could be written. Free disk space below "
            f"{gettempdir()}, repeat the command, and send the file that it names to the maintainers of readmodels."
        )
    return (
        f"This is a fault of readmodels. Send {file} to its maintainers: the file says where the fault is, and holds "
        "no row values and no secrets."
    )


@contextmanager
def writing(file: Path) -> Iterator[None]:
    """Name a file in the errors of writing it: that of a full disk names none."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(file)
        raise


def _say(title: str, text: str) -> None:
    """Say something whose further lines cannot be taken for titles of ours."""
    err.print(title, end=" ")
    err.print(text.replace("\n", "\n  "), markup=False, soft_wrap=True)


def _command(words: Sequence[str]) -> str:
    """The command line without the values of arguments and options."""
    shown = (word.partition("=")[0] if word.startswith("-") else word for word in words)
    return " ".join(("readmodels", *(one if one.startswith("-") or one in _SAID_IN_REPORTS else "…" for one in shown)))


def _home(words: Sequence[str]) -> Path:
    """The folder of `--home`, also where the command failed before its options were read."""
    for word, following in zip(words, (*words[1:], ""), strict=True):
        if word == "--home" or word.startswith("--home="):
            return Path(word.partition("=")[2] or following)
    return _HOME
