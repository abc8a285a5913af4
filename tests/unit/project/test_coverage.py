"""Tests that docs/reference/coverage.md has every hazard once, and names only existing tests."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.support.checkout import CHECKOUT

PAGE = (CHECKOUT / "docs" / "reference" / "coverage.md").read_text()
HAZARDS = (
    *(f"D{number}" for number in range(1, 41)),
    "D27b",
    "D29b",
    *(f"K{number}" for number in range(1, 21)),
    *(f"E{number}" for number in range(1, 16)),
    *(f"R{number}" for number in range(1, 12)),
    *(f"U{number}" for number in range(1, 12)),
)
NO_TEST_YET = "no test yet"
ROW = re.compile(r"^\| ([A-Z]\d+b?) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
TEST = re.compile(r"`([\w/]+\.py)::(\w+)`")


def names_in(path: Path) -> set[str]:
    """Return the names of a module's tests."""
    return {
        node.name
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def named_tests() -> list[tuple[str, str]]:
    """Return path and name of every test on the page."""
    return sorted(set(TEST.findall(PAGE)))


def test_every_hazard_is_on_the_page_once() -> None:
    assert sorted(hazard for hazard, *_ in ROW.findall(PAGE)) == sorted(HAZARDS)


@pytest.mark.parametrize(("path", "name"), named_tests())
def test_a_test_that_the_page_names_exists(path: str, name: str) -> None:
    assert name in names_in(CHECKOUT / path)


@pytest.mark.parametrize(("hazard", "_", "held_by"), ROW.findall(PAGE), ids=lambda value: value)
def test_a_hazard_has_tests_a_reason_or_a_gap_that_can_be_found(hazard: str, _: str, held_by: str) -> None:
    is_tested = re.fullmatch(rf"{TEST.pattern}(, {TEST.pattern})*", held_by)
    assert is_tested or held_by.startswith("does not apply: ") or held_by == NO_TEST_YET, hazard
