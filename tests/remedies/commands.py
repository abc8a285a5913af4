"""Commands, settings and statements in a remedy, with a check that the product has them."""

from __future__ import annotations

import re
import shlex
from dataclasses import fields, is_dataclass
from typing import Any

import typer.main
from typer._click.exceptions import ClickException
from typer.core import TyperGroup

from pipeline import read_models
from pipeline.cli.main import app
from pipeline.config import Settings

_QUOTED = re.compile(r"`([^`]+)`")
_PLACEHOLDER = re.compile(r"\{[^}]*\}")
_SETTING = re.compile(r"`([a-z_]+)\.([a-z_]+)`")
_VARIABLE = re.compile(r"READMODELS_([A-Z_]+)__([A-Z_]+)")
_STATEMENT = re.compile(r"\b(?:ALTER|CREATE|DROP|GRANT|REASSIGN|REVOKE)\s[^;]+;")

_EXAMPLES = {**dict.fromkeys(("model", "one.model", "self.model", "self.wanted.model"), "redis"), "table": "orders"}
"""Example values for placeholders whose value is known only when the remedy is printed."""


class NoSuchCommand(Exception):
    """A remedy names a command, an option or a setting that the product does not have."""


def commands(text: str) -> list[list[str]]:
    """Return the `readmodels` commands in a remedy, as arguments.

    Raises:
        NoSuchCommand: an option stands alone, so that its command is unknown.
    """
    found = [shlex.split(_PLACEHOLDER.sub(_example, quoted)) for quoted in _QUOTED.findall(text)]
    for words in found:
        if words[:1] and words[0].startswith("--"):
            raise NoSuchCommand(f"{words[0]} stands without its command: {text}")
    return [words[1:] for words in found if words[:1] == ["readmodels"]]


def parse(words: list[str]) -> None:
    """Parse a command as the product does, without running it.

    Raises:
        NoSuchCommand: with the parser's message.
    """
    command: Any = typer.main.get_command(app)
    context = typer.Context(command, info_name="readmodels")
    try:
        while isinstance(command, TyperGroup):
            _, command, words = command.resolve_command(context, words)
        given = command.make_context(command.name, list(words), parent=context).params
        read_models.parse_names(given.get("models"))
    except (ClickException, typer.Exit, read_models.UnknownModel) as error:
        raise NoSuchCommand(f"readmodels {shlex.join(words)}: {error}") from error


def settings(text: str) -> list[tuple[str, str]]:
    """Return the settings in a remedy, as section and name."""
    named = [(one, two) for one, two in _SETTING.findall(text) if one in Settings.model_fields]
    return [*named, *((one.lower(), two.lower()) for one, two in _VARIABLE.findall(text))]


def require_setting(section: str, name: str) -> None:
    """Check that a setting exists.

    Raises:
        NoSuchCommand: there is none of this name.
    """
    known = Settings.model_fields.get(section)
    kind: Any = known.annotation if known else None
    if not (is_dataclass(kind) and name in {one.name for one in fields(kind)}):
        raise NoSuchCommand(f"there is no setting {section}.{name}")


def statements(text: str) -> list[str]:
    """Return the SQL statements in a remedy, with their placeholders."""
    return _STATEMENT.findall(text)


def _example(placeholder: re.Match[str]) -> str:
    return _EXAMPLES.get(placeholder.group().strip("{}"), "1")
