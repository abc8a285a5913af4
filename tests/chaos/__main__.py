"""`make chaos`: cycles of faults on separate servers, added to docs/reference/reliability.jsonl."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from stack.local import LocalStack
from tests.chaos import record
from tests.chaos.cluster import rigged
from tests.chaos.cycle import Cycles
from tests.chaos.report import page
from tests.support.checkout import CHECKOUT

RECORD = CHECKOUT / "docs" / "reference" / "reliability.jsonl"

app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)
out = Console(highlight=False)


@app.command()
def main(
    cycles: Annotated[int, typer.Option(min=0, help="How many cycles to add; 0 only writes the page anew.")] = 20,
    seed: Annotated[str, typer.Option(help="Which faults come; with a cycle's number it names them.")] = "1",
    again: Annotated[int | None, typer.Option(help="Run this one cycle of the seed once more, off the record.")] = None,
    home: Annotated[Path, typer.Option(help="Where the servers of the run keep their state.")] = Path(
        ".readmodels-chaos"
    ),
    to: Annotated[Path, typer.Option(help="The record to which every cycle is added.")] = RECORD,
) -> None:
    """Kill, stop and cut off workers and servers under load, and check after each cycle that nothing diverged.

    Cycles of a seed continue after the last recorded one, so a run ended by ^C is simply started again. The command
    exits with 1 at the first cycle with a difference, and prints the difference, the seed to repeat it, and the log
    folder.
    """
    if again is not None or cycles:
        home = home.resolve()
        try:
            _run(home, seed, again, cycles, to)
        except AssertionError as error:
            out.print(f"WRONG: {error}")
            out.print(f"the logs are in {home / 'chaos'} and {home / 'log'}")
            raise typer.Exit(1) from error
        finally:
            LocalStack(home).down()
    if again is None:
        to.with_suffix(".md").write_text(page(record.read(to)))


def _run(home: Path, seed: str, again: int | None, cycles: int, to: Path) -> None:
    done = [seen.number for seen in record.read(to) if seen.seed == seed]
    first = max(done, default=0) + 1
    out.print("starting the servers")
    with rigged(home) as rig:
        running = Cycles(rig, seed, out.print)
        for number in [again] if again is not None else range(first, first + cycles):
            seen = running.run(number)
            if again is None:
                record.append(to, seen)
            out.print(f"  {'equal' if seen.is_right else 'WRONG'} after {max(seen.took_s.values()):.1f} s")
            if not seen.is_right:
                _complain(seen, home)


def _complain(seen: record.Seen, home: Path) -> None:
    for title, faults in (
        ("models against the log", seen.in_models),
        ("versions gone back", seen.gone_back),
        ("workers that stopped", seen.stopped),
    ):
        for fault in faults:
            out.print(f"  {title}: {fault}")
    out.print(f"  the logs are in {home / 'chaos'} and {home / 'log'}")
    out.print(f'  again: make chaos ARGS="--seed {seen.seed} --again {seen.number}"')
    raise typer.Exit(1)


if __name__ == "__main__":
    sys.exit(app())
