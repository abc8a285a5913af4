"""Commands of the command line. Each is imported on use because the clients of unneeded stores are slow to import."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

MODULES = {
    "demo": "demo",
    "up": "stack",
    "down": "stack",
    "introspect": "introspect",
    "init": "setup",
    "run": "run",
    "status": "status",
    "verify": "verify",
    "replay": "replay",
    "generations": "generations",
    "cutover": "generations",
    "rollback": "generations",
    "prune": "generations",
    "snapshot": "snapshot",
    "epoch": "epoch",
    "sql": "sql",
    "report": "report",
    "export": "export",
    "pause": "run",
    "resume": "run",
    "teardown": "setup",
    "config": "status",
    "work": "run",
}
"""Module of each command, in the order of `--help`."""

HIDDEN = {"work"}


class CommandGroup(TyperGroup):
    """Command group whose commands are functions, or groups of their own, with the command's name."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        # Typer reads only the names of this dict; `get_command` returns the commands.
        self.commands = dict.fromkeys(MODULES)  # type: ignore[assignment]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - typer's signature
        """Import a command; return None if it does not exist."""
        if cmd_name not in MODULES:
            return None
        found = getattr(import_module(f"pipeline.cli.{MODULES[cmd_name]}"), cmd_name)
        return _group(found, cmd_name) if isinstance(found, typer.Typer) else _command(found, cmd_name)


def _group(commands: typer.Typer, name: str) -> Any:
    group = typer.main.get_group(commands)
    group.name = name
    return group


def _command(function: Callable[..., object], name: str) -> Any:
    alone = typer.Typer(add_completion=False, rich_markup_mode="rich")
    alone.command(name, hidden=name in HIDDEN)(function)
    return typer.main.get_command(alone)
