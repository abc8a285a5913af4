"""What was seen of each cycle, as a file of JSON lines to which every run adds."""

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
        seed, number: name the cycle; with the same names, the same faults come again.
        at: when it began, as ISO 8601.
        faults: per fault, `TARGET: KIND`.
        records: changes that the connector wrote meanwhile, and `repeated` of them again.
        answers, failures: questions of readers that were answered, and that met nobody.
        took_s: from the end of the last fault until the log, and each model, held everything.
        in_models, in_log, gone_back: what differs, see `tests.chaos.convergence`, and `tests.chaos.monotonic_reads`.
        stopped: workers that stopped for good.
        hung_calls: workers that the watchdog ended.
        operator_restarts: how often a failed connector was restarted.
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
        """Whether the product kept its promises; what the log lacks is another's."""
        return not (self.in_models or self.gone_back or self.stopped)


def read(file: Path) -> list[Seen]:
    """Every cycle on record."""
    lines = file.read_bytes().splitlines() if file.exists() else []
    return [msgspec.json.decode(line, type=Seen) for line in lines]


def append(file: Path, seen: Seen) -> None:
    """Add a cycle, in one write."""
    with file.open("ab") as record:
        record.write(orjson.dumps(seen, option=orjson.OPT_APPEND_NEWLINE))
