"""Kinds of faults, and the faults of a cycle, drawn from a seed so that they can be repeated."""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import StrEnum

from stack.local import SERVERS
from tests.acceptance.cli_runner import MODELS
from tests.support.relays import Disturbance

RUNS = ("first", "second")
"""The two `readmodels run`, each with a worker of every model; one DuckDB worker writes, the other stands by."""
BEGINS_WITHIN_S = 1.5
LASTS_S = (0.3, 3.0)
SILENT_FOR_S = (0.5, 6.0)
"""Range of the silence of a stopped target.

The silence sometimes exceeds the group's session timeout of 3 seconds, so that a stopped worker resumes as a zombie. It
sometimes exceeds the watchdog's timeout, so that a stopped store ends its worker.
"""


class Kind(StrEnum):
    """The kind of a fault."""

    KILL = "kill -9"
    STOP = "SIGSTOP, SIGCONT"
    RESTART = "restart"
    DELAY = "delay"
    CUT = "cut after n bytes"
    LOSE = "answers lost"
    SWALLOW = "nothing carried"
    REFUSE = "refused"


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One fault.

    Args:
        target: a server of the stack; `worker MODEL RUN` or `run RUN`; `connector task`; or `way to SERVER`.
        begins_s: time after the beginning of its cycle.
        lasts_s: time until the fault is healed; the supervisor decides when to restart a killed worker.
        disturbance: the disturbance of a way.
    """

    kind: Kind
    target: str
    begins_s: float
    lasts_s: float
    disturbance: Disturbance | None = None

    def __str__(self) -> str:
        return f"{self.target}: {self.kind} at {self.begins_s:.1f} s for {self.lasts_s:.1f} s"


WAYS = ("kafka", "registry", "postgres", "elasticsearch", "redis")
"""Servers behind a relay: the first three for Connect, all but PostgreSQL for the workers."""

TARGETS: dict[str, int] = {
    **{f"worker {model} {run}": 4 for model in MODELS for run in RUNS},
    **{f"run {run}": 3 for run in RUNS},
    **{f"way to {server}": 6 for server in WAYS},
    "connector task": 3,
    **{server: {"redis": 6, "postgres": 4}.get(server, 2) for server in SERVERS},
}
"""Relative frequency of each target; targets that recover slowly are hit less often."""


def faults_of(seed: str) -> list[Fault]:
    """Return one to three faults with different targets."""
    chance = random.Random(seed)
    targets: list[str] = []
    for _ in range(chance.choice((1, 2, 2, 3))):
        left = [target for target in TARGETS if target not in targets]
        targets += chance.choices(left, [TARGETS[target] for target in left])
    return [fault_of(target, chance) for target in targets]


def fault_of(target: str, chance: random.Random) -> Fault:
    """Return a possible fault of a target."""
    disturbance = None
    if target.startswith("way to"):
        kind, disturbance = chance.choice(
            (
                (Kind.DELAY, Disturbance(delay_s=round(chance.uniform(0.02, 0.4), 2))),
                (Kind.CUT, Disturbance(cut_after_bytes=chance.randrange(3000))),
                (Kind.LOSE, Disturbance(is_deaf=True)),
                (Kind.SWALLOW, Disturbance(is_stuck=True)),
                (Kind.REFUSE, Disturbance(is_closed=True)),
            )
        )
    else:
        kind = Kind.RESTART if target == "connector task" else chance.choice((Kind.KILL, Kind.STOP))
    begins_s = round(chance.uniform(0, BEGINS_WITHIN_S), 2)
    lasts_s = round(chance.uniform(*(SILENT_FOR_S if kind in (Kind.STOP, Kind.SWALLOW) else LASTS_S)), 2)
    if kind is Kind.RESTART:
        lasts_s = 0.0
    return Fault(kind=kind, target=target, begins_s=begins_s, lasts_s=lasts_s, disturbance=disturbance)
