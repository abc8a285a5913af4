"""Register of the proof of each remedy: a test that carries it out, a check of its commands, or nothing to do.

An entry names the owner of a remedy as `printed.py` finds it. If an owner has several remedies, `says` holds the words
that begin or end only this one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from tests.remedies.entries import CARRIED_OUT, CHECKED, CHECKED_BECAUSE, NOTHING_TO_DO
from tests.remedies.printed import Remedy


class Proof(StrEnum):
    """The kind of proof of a remedy."""

    CARRIED_OUT = "carried out"
    CHECKED = "commands checked"
    NOTHING_TO_DO = "nothing to do"


@dataclass(frozen=True)
class Entry:
    """The proof of one remedy.

    Args:
        owner: the owner of the remedy, such as `sinks.errors:StoreNeedsRestart`.
        says: the words that begin or end this remedy, and no other of the owner's; empty if there is only one.
        tests: the tests that carry it out, such as `tests/unit/test_x.py::test_y`.
        reason: why no test carries it out.
    """

    owner: str
    says: str
    proof: Proof
    tests: tuple[str, ...] = ()
    reason: str = ""

    def is_about(self, remedy: Remedy) -> bool:
        """Return whether this is the entry of a remedy."""
        is_said = remedy.text.startswith(self.says) or remedy.text.endswith(self.says)
        return remedy.owner == self.owner and is_said


def entries() -> list[Entry]:
    """Return every entry of the register."""
    carried_out = [
        Entry(*_key(key), Proof.CARRIED_OUT, (tests,) if isinstance(tests, str) else tests)
        for key, tests in CARRIED_OUT.items()
    ]
    explained = [Entry(*_key(key), Proof.CHECKED, reason=reason) for key, reason in CHECKED_BECAUSE.items()]
    plain = [*_plain(CHECKED, Proof.CHECKED), *_plain(NOTHING_TO_DO, Proof.NOTHING_TO_DO)]
    return [*carried_out, *explained, *plain]


def _plain(keys: Iterable[str], proof: Proof) -> list[Entry]:
    return [Entry(*_key(key), proof) for key in keys]


def _key(key: str) -> tuple[str, str]:
    owner, _, says = key.partition(" | ")
    return owner, says
