"""One cycle: the shop opens, faults happen and are healed, the shop closes, and everything is compared."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from tests.chaos.cluster import Rig
from tests.chaos.convergence import Judge
from tests.chaos.faults import Fault, faults_of
from tests.chaos.monotonic_reads import Places, versions_gone_back
from tests.chaos.readers import readers_of, reading
from tests.chaos.record import Seen
from tests.chaos.shop import Shop

Report = Callable[[str], None]


class Cycles:
    """Successive cycles of one rig.

    Args:
        seed: the seed of all cycles; with a cycle's number it determines the faults.
    """

    def __init__(self, rig: Rig, seed: str, report: Report) -> None:
        self._rig = rig
        self._seed = seed
        self._report = report
        self._judge = Judge(rig)
        self._readers = readers_of(rig.endpoints)
        self._places: Places = {}
        # Differences left by an interrupted run count, too.
        left = self._judge.judge().in_models
        assert not left, left

    def run(self, number: int, faults: list[Fault] | None = None) -> Seen:
        """Run one cycle.

        Args:
            faults: by default, those of the seed and the number.

        Raises:
            NotConverged: a model remains incomplete.
        """
        rig, log = self._rig, self._judge.log.fold
        faults = faults_of(f"{self._seed}/{number}") if faults is None else faults
        at = datetime.now(UTC).isoformat(timespec="seconds")
        self._report(f"cycle {self._seed}/{number}: {'; '.join(map(str, faults))}")
        before = (log.records, log.repeated, rig.operator_restarts, rig.hung_calls())
        answered = sum(reader.answers for reader in self._readers)
        failed = sum(reader.failures for reader in self._readers)
        with reading(self._readers):
            with Shop(rig.endpoints.postgres, f"{self._seed}/{number}").opened():
                rig.inflict(faults)
            convergence = self._judge.judge()
        return Seen(
            seed=self._seed,
            number=number,
            at=at,
            faults=[f"{fault.target}: {fault.kind}" for fault in faults],
            records=log.records - before[0],
            repeated=log.repeated - before[1],
            answers=sum(reader.answers for reader in self._readers) - answered,
            failures=sum(reader.failures for reader in self._readers) - failed,
            took_s={name: round(took_s, 1) for name, took_s in convergence.took_s.items()},
            in_models=convergence.in_models,
            in_log=convergence.in_log,
            gone_back=self._gone_back(),
            stopped=rig.stopped_workers(),
            hung_calls=rig.hung_calls() - before[3],
            operator_restarts=rig.operator_restarts - before[2],
        )

    def _gone_back(self) -> list[str]:
        faults = versions_gone_back(self._readers, self._judge.log.fold, self._places)
        for reader in self._readers:
            reader.forget()
        return faults
