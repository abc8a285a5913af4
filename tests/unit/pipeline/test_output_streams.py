"""Tests that output reaches files, pipes and limited terminals completely, without terminal control sequences."""

from __future__ import annotations

import io
import os
import subprocess
import sys

import pyarrow as pa
import pytest
import structlog

from pipeline import logging
from pipeline.cli.output_formats import OutputFormat, without_formulas, written
from pipeline.terminal_text import escape_controls, on_one_line

SIGNS = r"""
from pipeline.cli.output_streams import prepare
prepare()
from rich.table import Table
from pipeline.cli.context import out, print_json
out.print("[green]\u2713[/] init \u2026 \u2192 \u2717 Gr\xf6\xdfe \u4eac")
table = Table(box=None, pad_edge=False)
table.add_column("wide"), table.add_column("last")
table.add_row("x" * 300, "end")
out.print(table)
print_json({"city": "\u4eac"})
"""
MANY_LINES = """
import sys
from pipeline.cli.main import main
sys.argv = ["readmodels", "--help"]
main()
"""


@pytest.mark.parametrize(
    "environment", [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}]
)
def test_a_terminal_without_unicode_shows_signs_and_escapes(environment: dict[str, str]) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", SIGNS], env={**os.environ, **environment}, capture_output=True, check=True
    )
    assert b"ok init ... -> x Gr\\xf6\\xdfe \\u4eac" in ended.stdout
    assert '"city": "京"'.encode() in ended.stdout


def test_a_table_in_a_pipe_is_not_cut() -> None:
    ended = subprocess.run([sys.executable, "-c", SIGNS], capture_output=True, text=True, check=True)
    assert "x" * 300 + "  end" in ended.stdout


def test_a_reader_that_leaves_ends_the_command_quietly() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    ended = subprocess.run(
        [sys.executable, "-c", MANY_LINES], stdout=writing, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (141, "")


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("\x1b[2J", "\\x1b[2J"),
        ("\x9b31m", "\\x9b31m"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("\r\x00\x7f", "\\r\\x00\\x7f"),
        ("Größe 京 🎁\n", "Größe 京 🎁\n"),
    ],
)
def test_characters_that_command_a_terminal_are_shown_as_escapes(hostile: str, shown: str) -> None:
    assert escape_controls(hostile) == shown


def test_a_value_stays_on_its_line() -> None:
    assert on_one_line("a\nerror: b\tc") == "a\\nerror: b\\tc"


def test_control_characters_of_a_result_are_escaped() -> None:
    rows = pa.table({"note\x1b[1m": ["\x1b]52;c;aGk=\x07", "\u202eb", "c\nd"]})
    shown = written(rows, OutputFormat.TABLE, 80).decode()
    assert not [one for one in shown if not one.isprintable() and one != "\n"]
    assert "\\x1b]52" in shown


def test_control_characters_of_a_log_line_are_escaped() -> None:
    stream = io.StringIO()
    logging.configure(stream)
    structlog.get_logger().warning("stopped", reason="sent as io.debe\x1b[31mzium\n2J")
    structlog.reset_defaults()
    assert "\x1b" not in stream.getvalue()
    assert stream.getvalue().count("\n") == 1


def test_formulas_in_csv_are_defused_only_where_that_is_asked_for() -> None:
    rows = pa.table({"=note": ["=cmd|' /C calc'!A0", "@x", "plain", None], "amount": [-1, 2, 3, 4]})
    assert written(rows, OutputFormat.CSV, 80).decode().splitlines()[1] == "=cmd|' /C calc'!A0,-1"
    defused = written(without_formulas(rows), OutputFormat.CSV, 80).decode().splitlines()
    assert defused == ["'=note,amount", "'=cmd|' /C calc'!A0,-1", "'@x,2", "plain,3", ",4"]
