"""Tests of the remedies of settings and definitions, carried out by the names that they give."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.remedies.shell import SETTINGS, SHIPPED, Shell

RIGHT: Mapping[str, str] = {name.lower().replace("__", "."): value for name, value in SETTINGS.items()}


def remedy_of_settings(shell: Shell) -> str:
    ended = shell("config", "show")
    assert (ended.code, ended.said) == (1, "")
    return ended.remedy


def test_a_config_file_is_found_once_it_is_created_or_passed(described: Shell, tmp_path: Path) -> None:
    (tmp_path / "readmodels.toml").unlink()
    remedy = remedy_of_settings(described)
    [(file, option)] = re.findall(r"Create (\S+), or pass the path of an existing config file with (--\w+)", remedy)
    assert described(option, str(SHIPPED), "config", "show").code == 0
    Path(file).write_text(SHIPPED.read_text())
    assert described("config", "show").code == 0


def test_settings_are_complete_once_each_that_the_remedy_names_is_set(
    described: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in SETTINGS:
        monkeypatch.delenv(f"READMODELS_{name}")
    remedy = remedy_of_settings(described)
    acts, *_ = remedy.partition(". For example")
    named = re.findall(r"`([a-z_]+\.[a-z_]+)`", acts)
    assert "source.replication_password" in named
    for name in named:
        monkeypatch.setenv(f"READMODELS_{name.upper().replace('.', '__')}", RIGHT[name])
    assert described("config", "show").code == 0


@pytest.mark.parametrize(
    ("name", "wrong", "act"),
    [
        ("batches.max_records", "many", "correct `batches.max_records`"),
        ("batches.max_records", "0", "correct `batches`"),
        ("duckdb.copy_mode", "everybody", "correct `duckdb`"),
        ("envelopes.format", "xml", "correct `envelopes.format`"),
        ("redis.url", "redis://127.0.0.1/3", "correct `redis.url`"),
        ("topics.retention_ms", "-2", "correct `topics`"),
        ("kafka.bootstrap_server", "127.0.0.1:1", "remove `kafka.bootstrap_server`"),
    ],
)
def test_a_setting_is_taken_once_it_is_corrected_or_removed(
    name: str, wrong: str, act: str, described: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    variable = f"READMODELS_{name.upper().replace('.', '__')}"
    monkeypatch.setenv(variable, wrong)
    assert act in remedy_of_settings(described)
    if name in RIGHT:
        monkeypatch.setenv(variable, RIGHT[name])
    else:
        monkeypatch.delenv(variable)
    assert described("config", "show").code == 0


def test_a_section_of_the_environment_is_taken_once_it_is_json_or_unset(
    described: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("READMODELS_BATCHES", "{max_records: 7")
    assert "Unset the environment variable" in remedy_of_settings(described)
    monkeypatch.setenv("READMODELS_BATCHES", '{"max_records": 7}')
    assert described("config", "show").code == 0
    monkeypatch.delenv("READMODELS_BATCHES")
    assert described("config", "show").code == 0


def test_a_config_file_is_read_once_the_line_in_the_message_is_valid_toml(described: Shell, tmp_path: Path) -> None:
    file = tmp_path / "readmodels.toml"
    file.write_text(SHIPPED.read_text() + "[kafka\n")
    ended = described("config", "show")
    assert ended.remedy == "Correct the TOML syntax of readmodels.toml at the line in the message."
    [number] = re.findall(r"at line (\d+)", ended.complained)
    lines = file.read_text().splitlines()
    lines[int(number) - 1] += "]"
    file.write_text("\n".join(lines))
    assert described("config", "show").code == 0


CONTRADICTIONS = {
    "the key ['ident'] is not among its columns": ('key = ["id"]', 'key = ["ident"]'),
    "are ours": ('note = "text"', '_index = "text"'),
    "differ in case only": ('note = "text"', 'note = "text"\nNote = "text"'),
    "two tables have the same source": ('source = "public.order_items"', 'source = "public.orders"'),
    "a name has lower-case letters": ("[documents.orders", "[documents.Orders"),
    "there is no table ordres": ('root = "orders"', 'root = "ordres"'),
    "there is no table items": ('table = "order_items"', 'table = "items"'),
    "cannot be the name of a collection": ("collections.items]", "collections.note]"),
    "does not hold the key of orders": ('parent = ["order_id"]', 'parent = ["order"]'),
}
"""By words of the message: a part of the shipped definitions, and its replacement."""


@pytest.mark.parametrize("message", CONTRADICTIONS)
def test_definitions_are_accepted_once_the_names_in_the_message_are_corrected(
    message: str, described: Shell, tmp_path: Path
) -> None:
    right, wrong = CONTRADICTIONS[message]
    file = tmp_path / "readmodels.toml"
    file.write_text(SHIPPED.read_text().replace(right, wrong))
    ended = described("config", "show")
    assert message in ended.complained, ended
    assert "orrect" in ended.remedy
    file.write_text(SHIPPED.read_text())
    assert described("config", "show").code == 0
