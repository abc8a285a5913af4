"""An interactive shell for questions: statements of several lines, a history, and names that complete."""

from __future__ import annotations

import contextlib
import readline
from collections.abc import Callable, Sequence
from pathlib import Path

from pipeline.cli.context import err, print_error

PROMPT, CONTINUED = "readmodels> ", "        ..> "
KEYWORDS = (
    *("SELECT", "FROM", "WHERE", "GROUP BY", "ORDER BY", "LIMIT", "JOIN", "USING", "HAVING", "WITH", "UNION ALL"),
    *("DESCRIBE", "SUMMARIZE", "SHOW ALL TABLES", "count(*)", "sum(", "DISTINCT", "FILTER"),
)
HISTORY_LINES = 1_000


class Shell:
    """Reads statements until the end of the input, and has each answered.

    Args:
        tell: answers one statement on standard output.
        names: what there is to complete; asked once, when the first key asks for it.
        history: the file in which statements are remembered.
    """

    def __init__(self, tell: Callable[[str], None], names: Callable[[], Sequence[str]], history: Path) -> None:
        self._tell = tell
        self._ask_names = names
        self._history = history
        self._names: list[str] | None = None

    def run(self) -> None:
        """Read and answer until `quit`, or ^D."""
        self._begin()
        err.print("One SELECT, ended by a semicolon. Tab completes names; quit or ^D ends.", style="dim")
        try:
            while (statement := self._statement()) is not None:
                if statement:
                    self._answer(statement)
        finally:
            # A shell in a folder that cannot be written works as well; it only forgets.
            with contextlib.suppress(OSError):
                readline.write_history_file(self._history)

    def complete(self, text: str, state: int) -> str | None:
        """The names that begin with a text, one by one, as readline asks for them."""
        found = [name for name in (*self._known(), *KEYWORDS) if name.lower().startswith(text.lower())]
        return found[state] if state < len(found) else None

    def _begin(self) -> None:
        readline.set_completer(self.complete)
        readline.set_completer_delims(" \t\n,()=<>+-*/;.")
        readline.parse_and_bind("tab: complete")
        readline.set_history_length(HISTORY_LINES)
        with contextlib.suppress(OSError):
            self._history.parent.mkdir(parents=True, exist_ok=True)
            readline.read_history_file(self._history)

    def _statement(self) -> str | None:
        """The next statement, empty where it was given up, or None at the end."""
        lines: list[str] = []
        try:
            while True:
                lines.append(input(CONTINUED if lines else PROMPT))
                if len(lines) == 1 and lines[0].strip().rstrip(";").lower() in ("quit", "exit", r"\q"):
                    return None
                if not lines[-1].strip() and len(lines) == 1:
                    return ""
                if lines[-1].rstrip().endswith(";"):
                    return "\n".join(lines)
        except KeyboardInterrupt:
            err.print()
            return ""
        except EOFError:
            err.print()
            return None

    def _answer(self, statement: str) -> None:
        try:
            self._tell(statement)
        except KeyboardInterrupt:
            err.print()
        except Exception as error:  # noqa: BLE001 - whatever goes wrong with one statement, the next may be answered
            print_error(error)

    def _known(self) -> list[str]:
        if self._names is None:
            try:
                self._names = list(self._ask_names())
            except Exception:  # noqa: BLE001 - readline would print a traceback into the line; statements will complain
                return []
        return self._names
