"""Context that all commands share: configuration, output, and error messages."""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING, Any

import orjson
import typer

from pipeline import read_models
from pipeline.cli.commands import MODULES
from pipeline.cli.completed_settings import completed_settings
from pipeline.cli.output_streams import Output, write_data
from pipeline.config import Settings, load, load_source_url
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
"""Errors of a write, which name no file; the others are errors of opening a file."""

_HOME = Path(".readmodels")
_SAID_IN_REPORTS = {*MODULES, *read_models.READ_MODELS, "all", "show", "open"}
"""Words of a command line that contain no value of the user."""


class StackNotInstalled(Exception):
    """The packages that start local servers are not installed."""

    remedy = (
        "Run `pip install 'cdc-read-models[stack]'`. With servers of your own, no local stack is needed: set their "
        "addresses in readmodels.toml or in the environment (docs/guides/running.md), then run `readmodels init`."
    )


@dataclass(frozen=True)
class Context:
    """Options that precede the command.

    Args:
        file: `readmodels.toml`.
        home: the directory of the local stack.
    """

    file: Path
    home: Path

    @property
    def stack(self) -> LocalStack:
        """Local stack of this home. It needs the packages of the extra `stack`."""
        try:
            from stack.local import LocalStack
        except ImportError as error:
            raise StackNotInstalled(f"the package {error.name} is not installed") from error
        return LocalStack(self.home)

    @property
    def endpoints(self) -> Endpoints | None:
        """Addresses of the local stack's servers, or None if there is no stack."""
        return Endpoints.read(self.home / "endpoints.json")

    @property
    def source_url(self) -> str:
        """URL of the source, which is all that a command needs before there is a `readmodels.toml`."""
        return load_source_url(self.file, local_defaults(self.endpoints, self.home))

    def settings(self, **flags: Any) -> Settings:
        """Return the effective settings. If a local stack exists, its addresses are the defaults."""
        settings = load(self.file, local_defaults(self.endpoints, self.home), flags)
        if self.endpoints is not None:
            settings = _let_stack_reach_source(settings, self.endpoints)
        return settings if settings.is_complete else completed_settings(settings, self.home)


def _let_stack_reach_source(settings: Settings, endpoints: Endpoints) -> Settings:
    """Give the local stack's connector the address of a source on another server, which its environment lacks."""
    own = replace(settings.source, url=endpoints.postgres, admin_url="")
    host, port = settings.source.address
    if settings.connect.url != endpoints.connect or not host or (host, port) == own.address:
        return settings
    given = {"database.hostname": host, "database.port": port or "5432", **settings.envelopes.connector}
    return settings.model_copy(update={"envelopes": replace(settings.envelopes, connector=given)})


def context_of(context: typer.Context) -> Context:
    """Return the context of a command."""
    assert isinstance(context.obj, Context)
    return context.obj


def local_defaults(endpoints: Endpoints | None, home: Path) -> dict[str, Any]:
    """Return a local stack's addresses as sections of the configuration."""
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
    """Print an error and its remedy on standard error."""
    _say("[bold red]error:[/]", describe_error(error))
    _say("[bold]remedy:[/]", remedy_of(error) if remedy is None else remedy)


def remedy_of(error: BaseException) -> str:
    """Return the remedy of an error. Write an unexpected error to a file that can be sent to the maintainers."""
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
    """Add the file's name to errors of the block: the error of a full disk names no file."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(file)
        raise


def _say(title: str, text: str) -> None:
    """Print a text with its further lines indented, so that they cannot look like titles."""
    err.print(title, end=" ")
    err.print(text.replace("\n", "\n  "), markup=False, soft_wrap=True)


def _command(words: Sequence[str]) -> str:
    """Return the command line without the values of arguments and options."""
    shown = (word.partition("=")[0] if word.startswith("-") else word for word in words)
    return " ".join(("readmodels", *(one if one.startswith("-") or one in _SAID_IN_REPORTS else "…" for one in shown)))


def _home(words: Sequence[str]) -> Path:
    """Return the folder of `--home`, also if the command failed before its options were parsed."""
    for word, following in zip(words, (*words[1:], ""), strict=True):
        if word == "--home" or word.startswith("--home="):
            return Path(word.partition("=")[2] or following)
    return _HOME
