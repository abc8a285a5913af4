"""Command that runs the fuzz test for a time: `python -m tests.fuzz_readers --minutes 60 --seed 1`."""

from __future__ import annotations

import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from tests.fuzz_readers.fuzz import fuzz


def main(minutes: Annotated[float, typer.Option()] = 60.0, seed: Annotated[int, typer.Option()] = 1) -> None:
    """Send queries for some minutes, and print the results."""
    ends_at = time.monotonic() + minutes * 60
    with TemporaryDirectory(prefix="fuzz-readers-") as folder:
        found = fuzz(Path(folder) / "fuzz", seed, lambda _: time.monotonic() > ends_at)
    typer.echo(f"{found.outcomes.total():,} queries in {minutes:g} minutes, seed {seed}: {dict(found.outcomes)}")
    typer.echo(f"largest process {found.max_rss_bytes / 2**20:,.0f} MiB, slowest answer {found.slowest_s:.1f} s")
    for words, count in found.errors.most_common(20):
        typer.echo(f"{count:>8,}  {words}")


if __name__ == "__main__":
    typer.run(main)
