"""The page docs/operations/remedies.md: problem, remedy and proof, from the code and the register."""

from __future__ import annotations

from collections import Counter

from tests.remedies.commands import commands, settings, statements
from tests.remedies.printed import Remedy, printed
from tests.remedies.register import Entry, Proof, entries
from tests.support.checkout import CHECKOUT

PAGE = CHECKOUT / "docs" / "operations" / "remedies.md"

_HEAD = """# Remedies

Every problem that the product reports, the remedy that it prints with it, and the test that proves the remedy. A value
in braces is known only when the remedy is printed. This page is written by `python -m tests.remedies` from the code and
from `tests/remedies/entries.py`; a test fails if a remedy is missing here.

- **carried out**: a test provokes the problem, does what the remedy says, word by word, and sees the problem gone.
- **commands checked**: the commands, options and settings in it exist. No test carries it out.
- **words only**: it names no command. A person has to act outside of the product.
- **nothing to do**: the product goes on by itself.

{counts}.

| Given by | Problem | Remedy | Proof |
| --- | --- | --- | --- |
"""


def written() -> str:
    """Return the page."""
    found = {remedy: next(entry for entry in entries() if entry.is_about(remedy)) for remedy in printed()}
    counts = Counter(_proof(remedy, entry) for remedy, entry in found.items())
    told = f"{len(found)} remedies: " + ", ".join(f"{count} {name}" for name, count in counts.most_common())
    return _HEAD.format(counts=told) + "".join(_row(*one) for one in found.items())


def _row(remedy: Remedy, entry: Entry) -> str:
    cells = (f"`{remedy.owner}`", remedy.problem, remedy.text, f"{_proof(remedy, entry)}{_tests(entry)}")
    return f"| {' | '.join(map(_cell, cells))} |\n"


def _proof(remedy: Remedy, entry: Entry) -> str:
    is_checkable = commands(remedy.text) or settings(remedy.text) or statements(remedy.text)
    return "words only" if entry.proof is Proof.CHECKED and not is_checkable else entry.proof.value


def _tests(entry: Entry) -> str:
    return "".join(f": `{name}`" for name in entry.tests) + (f": {entry.reason}" if entry.reason else "")


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
