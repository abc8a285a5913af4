"""Results of each cycle, as a file of JSON lines to which every run appends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
import orjson


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One cycle.

    Args:
        seed, number: identify the cycle; the same values give the same faults.
        at: time at which the cycle began, as ISO 8601.
        faults: per fault, `TARGET: KIND`.
        records: changes that the connector wrote during the cycle; `repeated` is the number emitted again.
        answers, failures: readers' queries that succeeded and that failed.
        took_s: time from the end of the last fault until the log, and each model, held everything.
        in_models, in_log, gone_back: differences, see `tests.chaos.convergence` and `tests.chaos.monotonic_reads`.
        stopped: workers that stopped permanently.
        hung_calls: workers that the watchdog ended.
        operator_restarts: number of restarts of a failed connector.
    """

    seed: str
    number: int
    at: str
    faults: list[str]
    records: int
    repeated: int
    answers: int
    failures: int
    took_s: Mapping[str, float]
    in_models: list[str]
    in_log: list[str]
    gone_back: list[str]
    stopped: list[str]
    hung_calls: int
    operator_restarts: int

    @property
    def is_right(self) -> bool:
        """True if the product kept its promises; records missing from the log are not its fault."""
        return not (self.in_models or self.gone_back or self.stopped)


def read(file: Path) -> list[Seen]:
    """Return every recorded cycle."""
    lines = file.read_bytes().splitlines() if file.exists() else []
    return [msgspec.json.decode(line, type=Seen) for line in lines]


def append(file: Path, seen: Seen) -> None:
    """Append a cycle, in one write."""
    with file.open("ab") as record:
        record.write(orjson.dumps(seen, option=orjson.OPT_APPEND_NEWLINE))
