"""Tests that links between pages are not broken, and that pages name only commands that exist."""

import re
import shlex
from collections.abc import Iterator
from os.path import normpath
from pathlib import Path

import pytest

from tests.remedies.commands import NoSuchCommand, parse
from tests.support.checkout import CHECKOUT
from tests.unit.project.test_project import tracked

PAGES = [path for path in tracked() if path.endswith(".md") and not path.startswith("tests/")]
LINK = re.compile(r'(?:\]\(|src=")(?!\w+:)([^)#"\s]*)(?:#([^)"\s]+))?')
NAMED = re.compile(r"(?<![\w/.])docs/[\w/.-]+\.(?:md|py|jsonl)\b")
COMMAND = re.compile(r"(?:`|^ {4}(?:\$ )?)readmodels ([a-z][^`#\n]*)", re.MULTILINE)
GIVEN = {"MODEL": "redis", "NAME": "redis", "TABLE": "orders", "N": "2", "question.sql": str(CHECKOUT / "README.md")}
"""Values of the placeholders in pages."""


def anchors(page: str) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", (CHECKOUT / page).read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def broken(page: str) -> Iterator[str]:
    """Yield the links of a page that lead to no file or no heading."""
    for target, anchor in LINK.findall((CHECKOUT / page).read_text()):
        file = normpath(Path(page).parent / target) if target else page
        is_anchor_missing = anchor and file.endswith(".md") and anchor not in anchors(file)
        if not (CHECKOUT / file).exists() or is_anchor_missing:
            yield f"{target}#{anchor}"


@pytest.mark.parametrize("page", PAGES)
def test_every_link_of_a_page_leads_to_a_file_and_a_heading(page: str) -> None:
    assert list(broken(page)) == []


def test_every_page_that_a_file_names_exists() -> None:
    texts = [path for path in tracked() if re.search(r"\.(md|py|toml|ya?ml)$|Makefile$", path)]
    named = {(path, page) for path in texts for page in NAMED.findall((CHECKOUT / path).read_text())}
    assert [(path, page) for path, page in sorted(named) if not (CHECKOUT / page).exists()] == []


def test_the_index_lists_every_page() -> None:
    index = "docs/README.md"
    listed = {normpath(Path(index).parent / target) for target, _ in LINK.findall((CHECKOUT / index).read_text())}
    pages = {path for path in PAGES if path.startswith("docs/") and not path.startswith("docs/decisions/")}
    assert pages - listed == {index}


@pytest.mark.parametrize("page", [page for page in PAGES if page != "docs/operations/remedies.md"])
def test_the_commands_in_a_page_exist(page: str) -> None:
    for text in COMMAND.findall((CHECKOUT / page).read_text()):
        words = [GIVEN.get(word, word) for word in shlex.split(text)]
        try:
            parse(words)
        except NoSuchCommand as error:
            # A page may name a command without its arguments.
            if "Missing parameter" not in str(error):
                pytest.fail(f"{text}: {error}")
