"""What every verb shares: where the configuration is, how to print, and how to say what went wrong."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import typer
from rich.console import Console

from pipeline.config import Settings, load
from stack.endpoints import Endpoints

if TYPE_CHECKING:
    from stack.local import LocalStack

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


class StackNotInstalled(Exception):
    """The packages that start servers on this machine are not here."""

    remedy = "Install `cdc-read-models[stack]`, or give the addresses of servers of your own (docs/running.md)."


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


def of(context: typer.Context) -> Context:
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
    sys.stdout.write(orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE, default=str).decode())


def complain(error: BaseException) -> None:
    """Say what happened and what to do about it, on standard error."""
    err.print(f"[bold red]error:[/] {type(error).__name__}", end="")
    err.print(f": {error}" if str(error) else "", markup=False, soft_wrap=True)
    remedy = getattr(error, "remedy", None)
    if remedy:
        err.print("[bold]remedy:[/] ", end="")
        err.print(str(remedy), markup=False, soft_wrap=True)
