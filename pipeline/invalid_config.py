"""Error of invalid settings, with a remedy that names each setting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

_ACTS = {"missing": "set", "extra_forbidden": "remove", "unexpected_keyword_argument": "remove"}
"""Remedy for a setting by the type of its error; `correct` for all other types.

Source: https://docs.pydantic.dev/latest/errors/validation_errors/
"""


class InvalidConfig(ValueError):
    """A setting is missing or has an invalid value.

    Args:
        remedy: names the settings to set, correct or remove.
    """

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.remedy = remedy


def remedy_of(error: ValidationError, settings: type[BaseModel]) -> str:
    """Return the remedy that names every setting of an error.

    Args:
        settings: the model that was validated; its sections are dataclasses.
    """
    names_by_act: dict[str, list[str]] = {}
    for one in error.errors(include_url=False, include_context=False, include_input=False):
        names_by_act.setdefault(_ACTS.get(one["type"], "correct"), []).extend(_settings_at(one["loc"], settings))
    acts = "; ".join(f"{act} {', '.join(f'`{name}`' for name in names)}" for act, names in names_by_act.items())
    return (
        f"In readmodels.toml or in the environment: {acts}. For example, `kafka.bootstrap_servers` is "
        "bootstrap_servers below [kafka] in readmodels.toml, and READMODELS_KAFKA__BOOTSTRAP_SERVERS in the "
        "environment. `readmodels up` starts a local stack, whose addresses and passwords need not be set."
    )


def _settings_at(place: Sequence[int | str], settings: type[BaseModel]) -> list[str]:
    """Return the settings at a location of an error; for a section, its required settings."""
    field = settings.model_fields.get(str(place[0])) if len(place) == 1 else None
    section: Any = field.annotation if field is not None else None
    needed = [one.name for one in fields(section) if _is_needed(one)] if is_dataclass(section) else []
    return [".".join(map(str, (*place, name))) for name in needed] or [".".join(map(str, place))]


def _is_needed(setting: Field[Any]) -> bool:
    return setting.default is MISSING and setting.default_factory is MISSING
