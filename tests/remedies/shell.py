"""In-process command line that runs commands, and carries out the remedies that they print."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipeline.cli import main
from pipeline.config import load
from sinks.duckdb.store import DuckdbStore
from tests.remedies.commands import commands
from tests.support.checkout import CHECKOUT

SHIPPED = CHECKOUT / "readmodels.toml"
SETTINGS: Mapping[str, str] = {
    "SOURCE__URL": "postgresql://u:hidden@127.0.0.1/db",
    "SOURCE__ADMIN_URL": "postgresql://a:hidden@127.0.0.1/db",
    "SOURCE__REPLICATION_PASSWORD": "hidden",
    "KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:1",
    "CONNECT__URL": "http://127.0.0.1:1",
    "SCHEMA_REGISTRY__URL": "http://127.0.0.1:1",
    "ELASTICSEARCH__URL": "http://elastic:hidden@127.0.0.1:1",
    "REDIS__URL": "redis://:hidden@127.0.0.1:1/0",
    "DUCKDB__TOKEN": "hidden",
}
"""Complete settings, of servers that do not answer."""


def show_nothing(directory: Path) -> None:
    """Make an empty generation of DuckDB live."""
    with closing(DuckdbStore(directory, load(SHIPPED, {}).definitions.row_shapes())) as store:
        sink = store.sink(1)
        sink.prepare()
        sink.cutover()


@dataclass(frozen=True)
class Ended:
    """Exit code and output of a command."""

    code: int
    said: str
    complained: str

    @property
    def remedy(self) -> str:
        """The printed remedy."""
        _, is_printed, remedy = self.complained.rpartition("remedy: ")
        assert is_printed, self.complained
        return remedy.strip()


class Shell:
    """The command line in an empty directory.

    Args:
        options: options before every verb.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *options: str) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        self._options = options

    def __call__(self, *words: str) -> Ended:
        """Run a verb to its end."""
        self._monkeypatch.setattr(sys, "argv", ["readmodels", *self._options, *words])
        with pytest.raises(SystemExit) as ended:
            main()
        said = self._capsys.readouterr()
        code = ended.value.code
        return Ended(code if isinstance(code, int) else 0, said.out, said.err)

    def follow(self, remedy: str) -> None:
        """Run the commands in backquotes of a remedy, each of which must succeed."""
        typed = commands(remedy)
        assert typed, remedy
        for words in typed:
            ended = self(*words)
            assert ended.code == 0, (words, ended)
