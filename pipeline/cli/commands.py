"""Commands of the command line. Each is imported on use because the clients of unneeded stores are slow to import."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

PANELS: dict[str, dict[str, str]] = {
    "Set up": {"introspect": "introspect", "init": "setup", "teardown": "setup"},
    "Run and watch": {
        "run": "run",
        "status": "status",
        "verify": "verify",
        "pause": "run",
        "resume": "run",
        "config": "status",
    },
    "Rebuild": {
        "replay": "replay",
        "generations": "generations",
        "cutover": "generations",
        "rollback": "generations",
        "prune": "generations",
        "snapshot": "snapshot",
        "epoch": "epoch",
    },
    "Query": {"sql": "sql", "report": "report", "export": "export"},
    "Local stack": {"demo": "demo", "up": "stack", "down": "stack"},
}
"""Commands with their modules, by panel of `--help` and in its order."""

MODULES = {command: module for panel in PANELS.values() for command, module in panel.items()} | {"work": "run"}
"""Module of each command."""

_PANEL_OF = {command: panel for panel, commands in PANELS.items() for command in commands}

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
    group.rich_help_panel = _PANEL_OF[name]
    return group


def _command(function: Callable[..., object], name: str) -> Any:
    alone = typer.Typer(add_completion=False, rich_markup_mode="rich")
    alone.command(name, hidden=name in HIDDEN)(function)
    command: Any = typer.main.get_command(alone)
    command.rich_help_panel = _PANEL_OF.get(name)
    return command
