"""`python -m tests.simulation`: runs many simulated histories, and prints the seeds that fail."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track

from tests.simulation.simulation import SIDES, Failed, simulate

app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)
out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True)


@app.command()
def main(
    models: Annotated[
        list[str] | None, typer.Argument(help="elasticsearch, redis, duckdb; all where none is named.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds to run.")] = 100,
    first: Annotated[int, typer.Option(min=0, help="The first seed.")] = 0,
    trace: Annotated[bool, typer.Option(help="Tell what happens, with the virtual time.")] = False,
) -> None:
    """Run production workers on simulated histories and simulated stores, with faults determined by a seed.

    Each seed is a history of the source, a log, and a series of faults; after it, the model must equal the source. A
    failing seed is printed with the command that runs it again. The exit code is 1 if a seed fails.
    """
    failed = [failure for model in models or list(SIDES) for failure in _run(model, range(first, first + seeds), trace)]
    for failure in failed:
        out.print(str(failure), markup=False)
    raise typer.Exit(1 if failed else 0)


def _run(model: str, seeds: range, trace: bool) -> list[Failed]:
    failed: list[Failed] = []
    struck: Counter[str] = Counter()
    simulated_s = 0.0
    looks = 0
    began_s = time.process_time()
    for seed in track(seeds, description=model, console=err, transient=True, disable=not err.is_terminal):
        try:
            outcome = simulate(model, seed, print if trace else None)
        except Failed as failure:
            failed.append(failure)
        else:
            struck.update(outcome.struck)
            simulated_s += outcome.simulated_s
            looks += outcome.looks
    busy_s = time.process_time() - began_s
    out.print(
        f"{model}: {len(seeds)} histories, {len(failed)} wrong, "
        f"{len(seeds) / busy_s * 60:.0f} a minute of processor time, {simulated_s / 3600:.1f} simulated hours, "
        f"{looks:,} looks, {struck.total():,} faults"
    )
    out.print("  " + ", ".join(f"{fault} {count:,}" for fault, count in struck.most_common()), markup=False)
    return failed


if __name__ == "__main__":
    if os.environ.get("PYTHONHASHSEED") != "0":
        # Without this, the iteration order of sets of strings would differ between processes and change the result of a
        # seed.
        os.execve(
            sys.executable,
            [sys.executable, "-m", "tests.simulation", *sys.argv[1:]],
            {**os.environ, "PYTHONHASHSEED": "0"},
        )
    app()
