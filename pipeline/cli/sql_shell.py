"""Interactive SQL shell with multi-line statements, a history, and name completion."""

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
    """Shell that reads and runs statements until the end of the input.

    Args:
        tell: runs one statement and prints its result on standard output.
        names: returns the names for completion; called once, at the first completion.
        history: the file of the statement history.
    """

    def __init__(self, tell: Callable[[str], None], names: Callable[[], Sequence[str]], history: Path) -> None:
        self._tell = tell
        self._ask_names = names
        self._history = history
        self._names: list[str] | None = None

    def run(self) -> None:
        """Read and run statements until `quit` or ^D."""
        self._begin()
        err.print("Enter one SELECT, ended by a semicolon. Tab completes names; quit or ^D exits.", style="dim")
        try:
            while (statement := self._statement()) is not None:
                if statement:
                    self._answer(statement)
        finally:
            # If the folder is not writable, the shell works without a history.
            with contextlib.suppress(OSError):
                readline.write_history_file(self._history)

    def complete(self, text: str, state: int) -> str | None:
        """Return the names that begin with a text, one per call, as readline requires."""
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
        """Read the next statement; empty if it was cancelled, None at the end."""
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
